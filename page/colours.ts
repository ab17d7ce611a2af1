/** Colours of the present theme, and those of classes and numbers. */

export interface Theme {
  left: string;
  right: string;
  trunk: string;
  stage: string;
  floor: string;
  grid: string;
  faint: string;
  text: string;
  line: string;
  isDark: boolean;
}

const darkness = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let present: Theme | null = null;

darkness.addEventListener("change", () => {
  present = null;
  for (const tell of listeners) tell();
});

export function onThemeChange(tell: () => void): void {
  listeners.add(tell);
}

export function theme(): Theme {
  if (present) return present;
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  present = {
    left: of("left"),
    right: of("right"),
    trunk: of("trunk"),
    stage: of("stage"),
    floor: of("floor"),
    grid: of("grid"),
    faint: of("faint"),
    text: of("text"),
    line: of("line"),
    isDark: darkness.matches,
  };
  return present;
}

/** Ten hues that are told apart by most eyes, on light and on dark ground. */
const FEW_LIGHT = [
  "#0f6fb5",
  "#d9541e",
  "#1c8a5a",
  "#a3348c",
  "#b58900",
  "#5b52c4",
  "#0d8f9c",
  "#b3263e",
  "#6c7a1f",
  "#7d5238",
];
const FEW_DARK = [
  "#5fb0ee",
  "#ff8a57",
  "#52c993",
  "#e07bcb",
  "#e6c14a",
  "#a39bff",
  "#4fd0dc",
  "#ff7a8f",
  "#b9c65a",
  "#c99b7d",
];

/** The colour of class number `place` of `count`. Many classes get hues all around, in three lightnesses. */
export function classColour(place: number, count: number): string {
  const few = theme().isDark ? FEW_DARK : FEW_LIGHT;
  if (count <= few.length) return few[place % few.length] as string;
  const hue = (place * 137.508) % 360;
  const lightness = (theme().isDark ? [72, 60, 82] : [40, 54, 30])[place % 3] as number;
  return hex(hue, theme().isDark ? 62 : 66, lightness);
}

/** A colour for a share 0 .. 1 of a range of numbers. */
export function numberColour(share: number): string {
  const stops = theme().isDark
    ? ["#5a4fcf", "#2f9fb3", "#7fd16b", "#f7e35a"]
    : ["#3b2c85", "#1f7f95", "#4aa04a", "#c9a400"];
  const exact = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const place = Math.min(Math.floor(exact), stops.length - 2);
  return mix(stops[place] as string, stops[place + 1] as string, exact - place);
}

/** How far a joint is from where it should be, from 0 (none) to 1 (far). */
export function differenceColour(share: number): string {
  const [near, middle, far] = theme().isDark ? ["#6f8fa8", "#f0b73a", "#ff5a4a"] : ["#7b93a6", "#e09a00", "#c81e1e"];
  const exact = Math.min(Math.max(share, 0), 1);
  return exact < 0.5
    ? mix(near as string, middle as string, 2 * exact)
    : mix(middle as string, far as string, 2 * exact - 1);
}

export function mix(colour: string, other: string, share: number): string {
  const parts = (text: string) => [1, 3, 5].map((start) => Number.parseInt(text.slice(start, start + 2), 16));
  const to = parts(other);
  return toHex(parts(colour).map((part, i) => part + share * ((to[i] as number) - part)));
}

function toHex(parts: number[]): string {
  return `#${parts.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

function hex(hue: number, saturation: number, lightness: number): string {
  const [s, l] = [saturation / 100, lightness / 100];
  const reach = s * Math.min(l, 1 - l);
  const part = (n: number) => {
    const k = (n + hue / 30) % 12;
    return 255 * (l - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return toHex([part(0), part(8), part(4)]);
}
