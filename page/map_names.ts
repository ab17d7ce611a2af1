/** Names of groups on the map: where they stand, so that they cover neither each other nor the points of small groups. */

import { element } from "./dom";
import type { MapPoint } from "./map";

const MOST_NAMES = 14;
// Names do not cover the points of groups that have so few.
const FEW = 4;

/** A group of points with its middle: the median of its points. */
export interface Group {
  name: string;
  x: number;
  y: number;
  colour: string;
  /** All of its points, the highest first, if it has few of them. */
  few: [number, number][];
}

/** Groups with a name. */
export function middles(points: MapPoint[]): Group[] {
  const members = new Map<string, MapPoint[]>();
  for (const point of points) {
    if (!point.group) continue;
    const list = members.get(point.group);
    if (list) list.push(point);
    else members.set(point.group, [point]);
  }
  const median = (values: number[]) =>
    values.sort((one, other) => one - other)[Math.floor(values.length / 2)] as number;
  return [...members]
    .sort((one, other) => other[1].length - one[1].length)
    .map(([name, list]) => ({
      name,
      x: median(list.map((point) => point.x)),
      y: median(list.map((point) => point.y)),
      colour: list[0]?.colour ?? "#888888",
      few:
        list.length > FEW
          ? []
          : list.map(({ x, y }): [number, number] => [x, y]).sort((one, other) => other[1] - one[1]),
    }));
}

/** Names of the largest groups at their middles, as far as there is place. `pixel` says where a point of the map is. */
export function placedNames(
  groups: Group[],
  pixel: (x: number, y: number) => [number, number],
  width: number,
  height: number,
): HTMLElement[] {
  const taken: Box[] = groups.flatMap(({ few }) =>
    few.map(([x, y]): Box => {
      const [left, top] = pixel(x, y);
      return [left - 6, top - 6, left + 6, top + 6];
    }),
  );
  const shown: HTMLElement[] = [];
  for (const { name, x, y, colour, few } of groups) {
    if (shown.length >= MOST_NAMES) break;
    const half = 3.6 * Math.min(name.length, 22) + 8;
    const [highest, lowest] = [few[0], few.at(-1)];
    const places = highest && lowest ? [shifted(pixel(...highest), -19), shifted(pixel(...lowest), 19)] : [pixel(x, y)];
    const found = places.find(([left, top]) => {
      const box: Box = [left - half, top - 11, left + half, top + 11];
      const isInside = box[0] >= 4 && box[2] <= width - 4 && box[1] >= 4 && box[3] <= height - 4;
      return isInside && !taken.some((other) => overlap(box, other));
    });
    if (!found) continue;
    const [left, top] = found;
    taken.push([left - half, top - 11, left + half, top + 11]);
    const label = element("span", {}, name);
    label.style.transform = `translate(-50%, -50%) translate(${left.toFixed(1)}px, ${top.toFixed(1)}px)`;
    label.style.setProperty("--own", colour);
    shown.push(label);
  }
  return shown;
}

function shifted([left, top]: [number, number], down: number): [number, number] {
  return [left, top + down];
}

type Box = [left: number, top: number, right: number, bottom: number];

function overlap(one: Box, other: Box): boolean {
  return one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];
}
