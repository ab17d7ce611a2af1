/** Changing the gallery: labels, removal, and adding what was dropped. Only for those who may write. */

import type { App } from "./app";
import { button, element, notice, on, says } from "./dom";
import type { DeleteResponse, GetResponse, Item, Sequence, UpsertResponse } from "./messages";
import { CallError, call } from "./server";

interface Written {
  /** With the item that is there now; an empty id if there is none. */
  done: (id: string) => void;
  failed: (error: unknown) => void;
}

/** Ask for one line of text, or only for a yes. Gives null when the reader does not want to. */
export function ask(
  title: string,
  why: string,
  yes: string,
  input?: { label: string; value: string; secret?: boolean },
): Promise<string | null> {
  return new Promise((resolve) => {
    const field =
      input &&
      element("input", {
        type: input.secret ? "password" : "text",
        autocomplete: "off",
        value: input.value,
        maxlength: input.secret ? 4096 : 256,
        "aria-label": input.label,
      });
    const dialog = element(
      "dialog",
      { class: "card", "aria-label": title },
      element(
        "form",
        { method: "dialog" },
        element("h2", {}, title),
        element("p", {}, why),
        field,
        element(
          "div",
          { class: "actions" },
          element("button", { value: "no", type: "button" }, "Cancel"),
          element("button", { value: "yes", class: "primary" }, yes),
        ),
      ),
    );
    const end = (said: string | null) => {
      dialog.close(); // gives the focus back to where it was
      dialog.remove();
      resolve(said);
    };
    dialog.querySelector("button")?.addEventListener("click", () => end(null));
    on(dialog, {
      cancel: () => end(null),
      submit: (event) => {
        event.preventDefault();
        end(field ? field.value.trim() : "yes");
      },
    });
    document.body.append(dialog);
    dialog.showModal();
    field?.select();
  });
}

export function relabelItem(app: App, item: Item, written: Written): HTMLElement {
  const relabel = async () => {
    const label = await ask("Change label", item.id, "Save", { label: "Label", value: item.label });
    if (label === null) return;
    try {
      const request = { ids: [item.id], with_embeddings: true, with_motions: true, gallery: app.gallery };
      const whole = (await call<GetResponse>("GalleryService/Get", request)).items[0];
      await call<UpsertResponse>("GalleryService/Upsert", { items: [{ ...whole, label }], gallery: app.gallery });
      written.done(item.id);
    } catch (error) {
      written.failed(error);
    }
  };
  return button("Change label", relabel, "", { "data-key": "relabel" });
}

export function removeItem(app: App, item: Item, written: Written): HTMLElement {
  return button(
    "Delete",
    async () => {
      const why = `${item.id} is removed from the gallery ${app.gallery} for ever.`;
      if ((await ask("Delete this item?", why, "Delete")) === null) return;
      try {
        await call<DeleteResponse>("GalleryService/Delete", { ids: [item.id], gallery: app.gallery });
        written.done("");
      } catch (error) {
        written.failed(error);
      }
    },
    "danger",
  );
}

/** Whether the gallery has an item with this id. Raises `CallError`. */
async function hasItem(app: App, id: string): Promise<boolean> {
  try {
    await call<GetResponse>("GalleryService/Get", { ids: [id], gallery: app.gallery });
    return true;
  } catch (error) {
    if (error instanceof CallError && error.code === "not_found") return false;
    throw error;
  }
}

/** A form that adds a sequence to the gallery under an id and a label. It asks before it replaces an item. */
export function addingForm(
  app: App,
  suggested: { id: string; label: string },
  sequence: () => Sequence,
  added: () => void,
): HTMLElement {
  const id = element("input", {
    type: "text",
    value: suggested.id,
    maxlength: 256,
    required: true,
    pattern: ".*\\S.*",
  });
  const label = element("input", { type: "text", value: suggested.label, maxlength: 256 });
  const said = element("div", {});
  const clear = () => said.replaceChildren();
  on(id, { input: clear, invalid: clear });
  on(label, { input: clear });
  const form = element(
    "form",
    { class: "adding" },
    element("label", { class: "field" }, element("span", {}, "Id"), id),
    element("label", { class: "field" }, element("span", {}, "Label"), label),
    element("button", { class: "primary" }, "Add to the gallery"),
  );
  on(form, {
    submit: async (event) => {
      event.preventDefault();
      clear();
      const items = [{ id: id.value.trim(), label: label.value.trim(), sequence: sequence() }];
      try {
        if (await hasItem(app, items[0]?.id ?? "")) {
          const why = `${items[0]?.id} is in the gallery ${app.gallery}. Its motion, label and attributes are lost.`;
          if ((await ask("An item with this id exists. Replace it?", why, "Replace")) === null) return;
        }
        const { warnings } = await call<UpsertResponse>("GalleryService/Upsert", { items, gallery: app.gallery });
        app.forget();
        said.replaceChildren(
          notice("note", `${items[0]?.id} is in the gallery ${app.gallery} now.`),
          ...warnings.map(({ text }) => notice("warning", text)),
        );
        added();
      } catch (error) {
        said.replaceChildren(notice("error", says(error)));
      }
    },
  });
  return element(
    "details",
    { class: "card adding-card" },
    element("summary", {}, "Add this to the gallery"),
    form,
    said,
  );
}
