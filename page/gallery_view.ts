/** The gallery: a map of its items, what colours mean, a filter, a list, and the item that was opened. */

import type { App, View } from "./app";
import { onThemeChange, theme } from "./colours";
import { button, element, later, notice, on, says } from "./dom";
import { type Colouring, colouring } from "./groups";
import { ItemList } from "./item_list";
import { ItemPanel } from "./item_panel";
import { Legend, nameOnMap } from "./legend";
import { ItemMap, type MapPoint } from "./map";
import type { MapItem, MapItemsResponse } from "./messages";
import { HoverCard } from "./hover_card";
import { NO_ITEM } from "./query_cards";
import { EXAMPLE, conditions } from "./search_settings";
import { call, isAbout, isEmptyGallery } from "./server";

const IMPROVING_MS = 4000;

export class GalleryView implements View {
  readonly element: HTMLElement;
  private readonly map: ItemMap;
  private readonly hover: HoverCard;
  private readonly panel: ItemPanel;
  private readonly status = element("p", { class: "status", role: "status" });
  private readonly problem = element("div", { class: "problems" });
  private readonly where: HTMLInputElement;
  private readonly colourBy = element("select", { "aria-label": "Colour by" });
  private readonly colourNote = element("p", { class: "small", hidden: true });
  private readonly legend: Legend;
  private readonly list = new ItemList((id) => this.pick(id, id));
  private readonly side: HTMLElement;
  private readonly empty = element("div", { class: "empty", hidden: true });
  private items: MapItem[] = [];
  private whole: { of: string; items: MapItem[] } = { of: "", items: [] }; // without a filter, for the colours
  private attributes: string[] = [];
  private colours: Colouring = { groups: [], range: null, of: () => ({ group: "", colour: "#888888" }) };
  private shownFor: string | null = null;
  private asking: AbortController | null = null;
  private again = 0;
  private isImproving = false;
  private opener = ""; // the item whose entry in the list was pressed

  constructor(private readonly app: App) {
    this.hover = new HoverCard(app);
    this.map = new ItemMap({
      // The motion of the open item is in its panel.
      hover: (point, x, y) => this.hover.show(point?.id === this.panel.id ? null : point, x, y),
      pick: (point) => {
        this.hover.show(null, 0, 0);
        this.pick(point.id, "");
      },
    });
    this.map.element.append(
      this.hover.element,
      element(
        "div",
        { class: "zoom" },
        button("+", () => this.map.zoom(1.6), "", { "aria-label": "Zoom in" }),
        button("−", () => this.map.zoom(1 / 1.6), "", { "aria-label": "Zoom out" }),
        button("Whole", () => this.map.fit(), "", { "aria-label": "Show the whole map" }),
      ),
    );
    // A press on these buttons does not move the map.
    const zoom = this.map.element.querySelector(".zoom") as HTMLElement;
    for (const name of ["pointerdown", "pointerup"] as const)
      on(zoom, { [name]: (event: Event) => event.stopPropagation() });
    const refilter = later(400, () => this.refilter());
    this.where = on(
      element("input", {
        type: "text",
        placeholder: EXAMPLE,
        autocomplete: "off",
        spellcheck: "false",
      }),
      { input: refilter },
    );
    on(this.colourBy, { change: () => this.recolour() });
    this.legend = new Legend({
      choose: () => {
        this.highlight();
        this.fillList();
      },
      point: (group) => this.map.highlight(new Set(group === null ? [] : [nameOnMap(group)])),
    });
    this.panel = new ItemPanel(app, {
      close: () => app.go("gallery", this.asked("")),
      changed: () => this.load(false),
      pick: (id) => this.pick(id),
    });
    const legendPart = element(
      "div",
      { class: "part" },
      field("Colour by", this.colourBy),
      this.colourNote,
      this.legend.element,
    );
    this.side = element(
      "aside",
      { class: "side card", "aria-label": "Items" },
      field("Show only", this.where),
      this.problem,
      this.status,
      tabs([
        ["Colours", legendPart],
        ["List", this.list.element],
      ]),
      legendPart,
      this.list.element,
    );
    const main = element("div", { class: "map-card card" }, this.map.element, this.empty);
    this.element = element(
      "section",
      { class: "gallery view" },
      element("h1", { class: "hidden" }, "Gallery"),
      main,
      element("div", { class: "beside" }, this.panel.element, this.side),
    );
    onThemeChange(() => this.recolour());
  }

  open(asked: URLSearchParams): void {
    const where = asked.get("where") ?? "";
    if (document.activeElement !== this.where) this.where.value = where;
    if (this.shownKey !== this.shownFor) {
      const isOther = this.shownFor?.split("\n")[0] !== this.app.gallery;
      if (isOther) this.legend.chosen.clear();
      this.load(isOther);
    } else if (this.isImproving && !this.again) {
      this.load(false); // nothing asked for the better map while another view was open
    }
    const id = asked.get("item") ?? "";
    const isMoved = id !== this.panel.id;
    const hadFocus = this.panel.element.contains(document.activeElement);
    this.map.select(id);
    this.panel.show(id);
    this.element.classList.toggle("has-item", id !== "");
    if (isMoved) this.moveFocus(id, hadFocus);
  }

  /** An item that was opened from a list has the focus. When it is closed, its entry gets it back, or the side does. */
  private moveFocus(id: string, hadFocus: boolean): void {
    if (id) {
      if (this.opener) this.panel.element.focus();
      return;
    }
    if ((this.opener || hadFocus) && !this.list.focus(this.opener)) this.where.focus();
    this.opener = "";
  }

  close(): void {
    this.hover.show(null, 0, 0);
    this.panel.pause();
    this.stopWaiting();
  }

  key(event: KeyboardEvent): boolean {
    if (event.key === "Escape" && this.panel.id) {
      this.app.go("gallery", this.asked(""));
      return true;
    }
    return this.panel.key(event);
  }

  private asked(item: string): Record<string, string> {
    return { where: this.where.value.trim(), item };
  }

  /** Open an item. `opener`: the entry of the list that was pressed. */
  private pick(id: string, opener = this.opener): void {
    this.opener = opener;
    this.app.go("gallery", this.asked(id));
  }

  private refilter(): void {
    const address = this.app.address("gallery", this.asked(this.panel.id));
    history.replaceState(null, "", address);
    this.open(new URLSearchParams(address.split("?")[1] ?? ""));
  }

  /** What the map depends on. */
  private get shownKey(): string {
    return `${this.app.gallery}\n${this.where.value.trim()}\n${this.app.numChanges}`;
  }

  private stopWaiting(): void {
    clearTimeout(this.again);
    this.again = 0;
  }

  private async load(fit: boolean): Promise<void> {
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.shownFor = this.shownKey;
    this.stopWaiting();
    const where = conditions(this.where.value);
    const { gallery } = this.app;
    const of = `${gallery}\n${this.app.numChanges}`;
    const request = { gallery, ...(where.length ? { filter: { where } } : {}) };
    this.map.element.classList.add("waits");
    try {
      const reply = await call<MapItemsResponse>("ViewService/MapItems", request, asking.signal);
      let whole = reply.items;
      if (where.length) whole = this.whole.of === of ? this.whole.items : await this.wholeOf(gallery);
      if (asking.signal.aborted) return; // the gallery may be another one by now
      this.whole = { of, items: whole };
      this.empty.hidden = !where.length || reply.items.length > 0;
      if (!this.empty.hidden) this.empty.replaceChildren(element("h2", {}, NO_ITEM));
      this.problem.replaceChildren();
      this.where.removeAttribute("aria-invalid");
      this.items = reply.items;
      this.attributes = reply.attributes_left_out ? [] : reply.attributes;
      this.showStatus(reply, where.length > 0);
      this.fillColourBy(reply.attributes_left_out);
      this.recolour(fit);
      this.isImproving = reply.is_improving;
      if (reply.is_improving && this.element.isConnected) {
        this.again = window.setTimeout(() => this.load(false), IMPROVING_MS);
      }
    } catch (error) {
      if (asking.signal.aborted) return;
      this.isImproving = false;
      if (isAbout(error, "filter")) {
        this.where.setAttribute("aria-invalid", "true");
        this.status.textContent = "";
        this.empty.hidden = true;
        this.problem.replaceChildren(notice("error", says(error)));
      } else {
        this.shownFor = null; // the next time that the view is opened, the map is asked for again
        this.where.removeAttribute("aria-invalid");
        this.problem.replaceChildren();
        this.items = [];
        this.recolour();
        this.status.textContent = "";
        this.showEmpty(error);
      }
    } finally {
      if (this.asking === asking) this.map.element.classList.remove("waits");
    }
  }

  /** The items of the whole map: colours are theirs, and stay when a filter leaves some of them. */
  private async wholeOf(gallery: string): Promise<MapItem[]> {
    const found = await this.app.mapItems(gallery).catch(() => null); // then colours are those of what is shown
    return found?.items ?? [];
  }

  private showEmpty(error: unknown): void {
    this.empty.hidden = false;
    if (!isEmptyGallery(error)) this.empty.replaceChildren(notice("error", says(error)));
    else if (this.app.mayWrite) {
      this.empty.replaceChildren(
        element("h2", {}, "This gallery is empty"),
        element("p", {}, "Drop a recording onto this page, and open “Add this to the gallery” below it."),
        button("Choose a recording", () => this.app.go("query"), "primary"),
        element("p", { class: "small" }, "Many recordings at once are added in a terminal, with gfp add."),
      );
    } else {
      this.empty.replaceChildren(
        element("h2", {}, "This gallery is empty"),
        element("p", {}, "Nothing has been added to it yet. With your token you can read, and not add."),
      );
    }
  }

  private showStatus(reply: MapItemsResponse, isFiltered: boolean): void {
    const [all, mapped] = [Number(reply.num_items), Number(reply.num_mapped)];
    const count = (n: number) => n.toLocaleString("en");
    if (isFiltered && !reply.items.length) {
      this.status.textContent = NO_ITEM;
      return;
    }
    let text = `${count(reply.items.length)} ${reply.items.length === 1 ? "item" : "items"}`;
    if (isFiltered && mapped !== reply.items.length) text += ` of ${count(mapped)}`;
    if (mapped < all && !isFiltered) text += `, a sample of ${count(all)}`;
    text += `, similar ones near each other (${reply.projection}).`;
    if (reply.is_improving) text += " A better map is being made.";
    this.status.textContent = text;
  }

  private fillColourBy(areLeftOut: boolean): void {
    this.colourNote.hidden = !areLeftOut;
    this.colourNote.textContent =
      "Colours by attribute are missing: with the attributes of all these items, the map is larger than what this " +
      "server sends at once. Show fewer items, or start gfp-serve with a larger --max-message-bytes.";
    const chosen = this.colourBy.value;
    const options = [["", "label"], ...this.attributes.map((name) => [name, name])];
    this.colourBy.replaceChildren(
      ...options.map(([value, text]) => element("option", { value, selected: value === chosen }, text)),
    );
  }

  private recolour(fit = false): void {
    this.colours = colouring(this.items, this.whole.items, this.colourBy.value, theme().faint);
    const points: MapPoint[] = this.items.map((item) => {
      const { group, colour } = this.colours.of(item);
      return { id: item.id, x: item.x, y: item.y, group: nameOnMap(group), colour };
    });
    this.legend.show(this.colours);
    this.map.show(points, fit);
    this.highlight();
    this.fillList();
  }

  /** Let the chosen groups stand out. */
  private highlight(): void {
    this.map.highlight(new Set([...this.legend.chosen].map(nameOnMap)));
  }

  private fillList(): void {
    const { chosen } = this.legend;
    const coloured = this.items.map((item) => ({ item, ...this.colours.of(item) }));
    const listed = coloured.filter(({ group }) => !chosen.size || chosen.has(group));
    this.list.show(listed, chosen.size > 0, this.panel.id);
  }
}

function field(name: string, control: HTMLElement): HTMLElement {
  return element("label", { class: "field" }, element("span", {}, name), control);
}

/** Buttons that show one of several parts. */
function tabs(parts: [string, HTMLElement][]): HTMLElement {
  const group = element("div", { class: "switch", role: "group", "aria-label": "What is listed" });
  parts.forEach(([name, part]) => {
    const made = button(name, () => {
      parts.forEach(([, other], place) => {
        other.hidden = other !== part;
        group.children[place]?.setAttribute("aria-pressed", String(other === part));
      });
    });
    made.setAttribute("aria-pressed", String(!part.hidden));
    group.append(made);
  });
  return group;
}
