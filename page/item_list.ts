/** The items of the map as a list, for keyboards and screen readers. */

import { button, element, on, renew } from "./dom";
import type { MapItem } from "./messages";

const MOST_LISTED = 60;

export interface Listed {
  item: MapItem;
  colour: string;
}

export class ItemList {
  readonly element: HTMLElement;
  private readonly list = element("ul", { class: "items" });
  private readonly search: HTMLInputElement;
  private items: Listed[] = [];
  private areChosen = false; // only items of some colours are here
  private current = "";

  constructor(private readonly pick: (id: string) => void) {
    this.search = on(
      element("input", {
        type: "search",
        placeholder: "Find an item by id or label",
        "aria-label": "Find an item by id or label",
      }),
      { input: () => this.fill() },
    );
    this.element = element("div", { class: "part", hidden: true }, this.search, this.list);
  }

  /** Show items; `current` is the id of the one that is open. */
  show(items: Listed[], areChosen: boolean, current: string): void {
    [this.items, this.areChosen, this.current] = [items, areChosen, current];
    this.fill();
  }

  /** Give the focus to the entry of an item, or else to the search. Gives whether the list can be seen. */
  focus(id: string): boolean {
    const entry = this.list.querySelector<HTMLElement>(`[data-key="${CSS.escape(id)}"]`);
    (entry ?? this.search).focus();
    return this.search.offsetParent !== null;
  }

  private fill(): void {
    const sought = this.search.value.trim().toLowerCase();
    const found = this.items.filter(
      ({ item: { id, label } }) => id.toLowerCase().includes(sought) || label.toLowerCase().includes(sought),
    );
    const entries = found.slice(0, MOST_LISTED).map((listed) => this.entry(listed));
    if (found.length > MOST_LISTED) {
      entries.push(element("li", { class: "more" }, `and ${found.length - MOST_LISTED} more; type to find one`));
    }
    if (!found.length) {
      const items = this.areChosen ? "No item of this map with the chosen colours" : "No item of this map";
      const text = sought ? `${items} has this in its id or label.` : "There are no items on this map.";
      entries.push(element("li", { class: "more" }, text));
    }
    renew(this.list, entries, this.search); // a better map comes while somebody goes through the list by keyboard
  }

  private entry({ item: { id, label }, colour }: Listed): HTMLElement {
    const entry = button("", () => this.pick(id), "", {
      "data-key": id,
      "aria-current": id === this.current ? "true" : null,
    });
    entry.append(
      element("span", { class: "swatch" }),
      element("span", { class: "name" }, label || "no label"),
      element("span", { class: "id" }, id),
    );
    entry.style.setProperty("--own", colour);
    return element("li", {}, entry);
  }
}
