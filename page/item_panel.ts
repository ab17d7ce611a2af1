/** An item that was opened: its motion, its facts, the items nearest to it, and what can be done with it. */

import type { App } from "./app";
import { NO_MOTION, clipOf } from "./app";
import { button, element, notice, renew, says, seconds } from "./dom";
import type { Item, SearchResponse } from "./messages";
import { Player, stageBox } from "./player";
import { call } from "./server";
import { removeItem, relabelItem } from "./writing";

interface Handlers {
  close: () => void;
  changed: () => void;
  pick: (id: string) => void;
}

export class ItemPanel {
  readonly element = element("section", {
    class: "item card",
    "aria-label": "Item",
    tabindex: -1,
    hidden: true,
  });
  id = "";
  private shownFor = "";
  private readonly player = new Player();

  constructor(
    private readonly app: App,
    private readonly handlers: Handlers,
  ) {}

  async show(id: string): Promise<void> {
    const key = `${this.app.gallery}\n${id}\n${this.app.numChanges}`;
    if (key === this.shownFor) {
      this.player.ask();
      return;
    }
    [this.id, this.shownFor] = [id, key];
    this.element.hidden = !id;
    if (!id) {
      this.player.clear();
      this.element.replaceChildren();
      return;
    }
    try {
      const item = await this.app.item(id);
      if (this.shownFor === key) this.fill(item);
    } catch (error) {
      if (this.shownFor === key) this.renew([this.head(id, ""), notice("error", says(error))]);
    }
  }

  pause(): void {
    this.player.playing = false;
  }

  key(event: KeyboardEvent): boolean {
    return Boolean(this.id) && this.player.key(event);
  }

  /** Show something else. A focus that was on what goes is on the panel then. */
  private renew(children: (HTMLElement | "")[]): void {
    renew(this.element, children, this.element);
  }

  private head(title: string, id: string): HTMLElement {
    const close = button("✕", this.handlers.close, "quiet", { "aria-label": "Close this item" });
    return element(
      "header",
      {},
      element("div", {}, element("h2", {}, title), id && element("p", { class: "id" }, id)),
      close,
    );
  }

  private fill(item: Item): void {
    const { app } = this;
    this.player.clear();
    const clip = clipOf(item);
    const stage = clip && this.player.addStage({ clip, label: `Moving skeleton: ${item.label || item.id}` });
    this.player.playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.player.place = this.player.playing ? 0 : 0.5;
    const facts: [string, string][] = Object.entries(item.attributes ?? {}).map(([name, value]) => [
      name,
      String(value),
    ]);
    if (clip?.knowsTime) facts.unshift(["length", seconds(clip.seconds)]);
    if (item.source?.recording) {
      const { recording, start_s, end_s } = item.source;
      const part = end_s ? `, ${start_s.toFixed(1)} to ${end_s.toFixed(1)} s` : "";
      facts.push(["recording", recording + part]);
    }
    const neighbours = element(
      "div",
      { class: "near" },
      element("h3", {}, "Nearest items"),
      element("p", { class: "small" }, "…"),
    );
    const problems = element("div", { class: "problems" });
    const written = {
      done: (id: string) => {
        app.forget();
        this.handlers.changed();
        if (id) this.show(id);
        else this.handlers.close();
      },
      failed: (error: unknown) => problems.replaceChildren(notice("error", says(error))),
    };
    this.renew([
      this.head(item.label || "no label", item.id),
      stageBox(stage, NO_MOTION),
      this.player.controls(false),
      element(
        "div",
        { class: "actions" },
        button("Use as query", () => app.go("query", { item: item.id }), "primary"),
        clip && button("Compare", () => app.go("compare", { wanted: item.id })),
        clip?.knowsTime && button("Count live", () => app.go("live", { count: item.id })),
      ),
      neighbours,
      facts.length
        ? element("dl", {}, ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]))
        : "",
      problems,
      app.mayWrite
        ? element("div", { class: "actions writing" }, relabelItem(app, item, written), removeItem(app, item, written))
        : "",
    ]);
    this.player.ask();
    this.fillNear(item.id, neighbours);
  }

  private async fillNear(id: string, place: HTMLElement): Promise<void> {
    const request = { queries: [{ id }], top_k: 5, gallery: this.app.gallery };
    try {
      const { results } = await call<SearchResponse>("GalleryService/Search", request);
      const found = results[0]?.neighbours ?? [];
      const entries = found.map((neighbour) => {
        const entry = button("", () => this.handlers.pick(neighbour.id), "row");
        entry.append(
          element("span", { class: "name" }, neighbour.label || "no label"),
          element("span", { class: "id" }, neighbour.id),
          element("span", { class: "number" }, neighbour.similarity.toFixed(3)),
        );
        return element("li", {}, entry);
      });
      place.lastElementChild?.replaceWith(
        found.length
          ? element("ul", { class: "items" }, ...entries)
          : element("p", { class: "small" }, "There are no others."),
      );
    } catch (error) {
      place.lastElementChild?.replaceWith(notice("error", says(error)));
    }
  }
}
