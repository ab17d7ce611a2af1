/** How the points of a map are coloured: by label, or by an attribute that names groups or is a number. */

import { classColour, numberColour } from "./colours";
import type { MapItem } from "./messages";

/** An entry of the legend. */
export interface Group {
  name: string;
  colour: string;
  count: number;
}

export interface Colouring {
  groups: Group[];
  /** Set instead of groups where values are many numbers. */
  range: { least: number; most: number } | null;
  of: (item: MapItem) => { group: string; colour: string };
}

export const NO_GROUP = "(none)";
// More numbers than these are a range and no groups.
const MOST_NUMBERS = 12;

/**
 * Colour items by an attribute; an empty name is the label. Colours are given to the groups or the range of `whole`, so
 * that they stay when `items` are a part of it.
 */
export function colouring(items: MapItem[], whole: MapItem[], by: string, none: string): Colouring {
  // Names of attributes are other people's, and every object has a "constructor".
  const attribute = ({ attributes }: MapItem) =>
    attributes && Object.hasOwn(attributes, by) ? attributes[by] : undefined;
  const value = (item: MapItem) => (by ? attribute(item) : item.label || undefined);
  const all = [...whole, ...items];
  const numbers = all.map(value).filter((each): each is number => typeof each === "number");
  if (numbers.length && new Set(numbers).size > MOST_NUMBERS) {
    const [least, most] = numbers.reduce(([low, high], each) => [Math.min(low, each), Math.max(high, each)], [
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ] as [number, number]);
    return {
      groups: [],
      range: { least, most },
      of: (item) => {
        const found = value(item);
        if (typeof found !== "number") return { group: "", colour: none };
        return { group: "", colour: numberColour((found - least) / (most - least || 1)) };
      },
    };
  }
  const nameOf = (item: MapItem) => {
    const found = value(item);
    return found === undefined ? NO_GROUP : Array.isArray(found) ? found.join(", ") : String(found);
  };
  const counts = new Map<string, number>();
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1);
  const names = [...new Set(all.map(nameOf))].filter((name) => name !== NO_GROUP);
  names.sort((one, other) => one.localeCompare(other, undefined, { numeric: true }));
  const colours = new Map(names.map((name, place) => [name, classColour(place, names.length)]));
  if (counts.has(NO_GROUP)) colours.set(NO_GROUP, none);
  return {
    groups: [...colours].flatMap(([name, colour]) => {
      const count = counts.get(name);
      return count ? [{ name, colour, count }] : [];
    }),
    range: null,
    of: (item) => {
      const group = nameOf(item);
      return { group, colour: colours.get(group) ?? none };
    },
  };
}
