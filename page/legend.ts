/** What the colours of the map mean, and which of them the reader chose. */

import { numberColour } from "./colours";
import { button, element, on, renew } from "./dom";
import { type Colouring, type Group, NO_GROUP } from "./groups";

interface Listeners {
  /** Other colours were chosen. */
  choose: () => void;
  /** The reader points at the entry of a group, or at none, while none is chosen. */
  point: (group: string | null) => void;
}

export class Legend {
  readonly element = element("ul", { class: "legend", "aria-label": "Colours", tabindex: -1 });
  /** Names of the groups that were chosen; none: all are shown alike. */
  chosen = new Set<string>();

  constructor(private readonly tell: Listeners) {}

  /** Show what these colours mean. Chosen groups that are no longer there are forgotten. */
  show({ groups, range }: Colouring): void {
    this.chosen = new Set([...this.chosen].filter((name) => groups.some((group) => group.name === name)));
    const entries = range ? [this.scale(range)] : groups.map((group) => this.entry(group));
    renew(this.element, entries, this.element);
  }

  private scale({ least, most }: NonNullable<Colouring["range"]>): HTMLElement {
    const scale = element("span", { class: "scale" });
    const stops = [0, 0.25, 0.5, 0.75, 1].map(numberColour).join(", ");
    scale.style.background = `linear-gradient(90deg, ${stops})`;
    const ends = [least, most].map((end) => element("span", {}, String(end)));
    return element("li", {}, scale, element("span", { class: "ends" }, ...ends));
  }

  private entry({ name, colour, count }: Group): HTMLElement {
    const choose = () => {
      if (!this.chosen.delete(name)) this.chosen.add(name);
      entry.setAttribute("aria-pressed", String(this.chosen.has(name)));
      this.tell.choose();
    };
    const entry = on(button("", choose, "", { "data-key": name, "aria-pressed": String(this.chosen.has(name)) }), {
      pointerenter: () => this.chosen.size || this.tell.point(name),
      pointerleave: () => this.chosen.size || this.tell.point(null),
    });
    entry.append(
      element("span", { class: "swatch" }),
      element("span", { class: "name" }, name),
      element("span", { class: "count" }, count.toLocaleString("en")),
    );
    entry.style.setProperty("--own", colour);
    return element("li", {}, entry);
  }
}

/** What the map calls a group: points without one have an empty name. */
export function nameOnMap(group: string): string {
  return group === NO_GROUP ? "" : group;
}
