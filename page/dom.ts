/** Elements of the page. Text goes in as text, never as HTML: names of items and classes are other people's. */

type Child = Node | string | null | undefined | false;
type Listeners = { [name in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[name]) => void };
type Attributes = Record<string, string | number | boolean | null | undefined>;

// Marks that change the direction of all text after them, up to the end of the sentence that the page itself says.
const DIRECTION_MARKS = /[\u202a-\u202e\u2066-\u2069]/g;

/** Other people's names as the page shows them: marks of direction, which would turn its own words around, are named. */
export function shown(text: string): string {
  return text.replace(DIRECTION_MARKS, (mark) => `\\u${mark.charCodeAt(0).toString(16)}`);
}

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      made.setAttribute(name, name === "aria-label" || name === "title" ? shown(String(value)) : String(value));
  }
  for (const child of children) if (child) made.append(typeof child === "string" ? shown(child) : child);
  return made;
}

export function on<Made extends HTMLElement>(made: Made, listeners: Listeners): Made {
  for (const [name, listener] of Object.entries(listeners)) made.addEventListener(name, listener as EventListener);
  return made;
}

export function button(
  text: string,
  press: () => void,
  className = "",
  attributes: Attributes = {},
): HTMLButtonElement {
  return on(element("button", { type: "button", class: className, ...attributes }, text), { click: press });
}

/** A select of [value, text] with a listener for the value that was chosen. */
export function select(
  label: string,
  options: [string, string][],
  chosen: string,
  choose: (value: string) => void,
): HTMLSelectElement {
  const made = element("select", { "aria-label": label });
  for (const [value, text] of options) made.append(element("option", { value, selected: value === chosen }, text));
  return on(made, { change: () => choose(made.value) });
}

/** Listen to keys that no element has a use for. `press` says whether it had one. */
export function onKeys(press: (event: KeyboardEvent) => boolean): void {
  addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) || target.closest("dialog, [role=slider], summary")) return;
    if (event.key === " " && target.closest("button, a")) return;
    if (press(event)) event.preventDefault();
  });
}

/** Replace the children of `parent`, and keep the focus where it is.
 *
 * The focus goes to the new child with the same `data-key`, or to `otherwise` if there is none. The page does not scroll.
 */
export function renew(parent: HTMLElement, children: Child[], otherwise?: HTMLElement): void {
  const focused = document.activeElement;
  const isWithin = focused instanceof HTMLElement && parent.contains(focused);
  const key = isWithin ? focused.dataset.key : undefined;
  parent.replaceChildren(...children.filter((child) => !!child) as (Node | string)[]);
  if (!isWithin) return;
  const same = key !== undefined && parent.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
  (same || otherwise)?.focus({ preventScroll: true });
}

export function says(error: unknown): string {
  return sentence(error instanceof Error ? error.message : String(error));
}

/** With a capital, if it begins with a word. Names of files and ids stay as they are. */
export function sentence(text: string): string {
  return /^[a-z]+[ ,]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/** A message for the reader; `kind` is "error", "warning" or "note". */
export function notice(kind: "error" | "warning" | "note", text: string): HTMLElement {
  return element("p", { class: `notice ${kind}`, role: kind === "error" ? "alert" : "status" }, sentence(text));
}

/** Call `then` when nothing has called for it during `ms`. */
export function later(ms: number, then: () => void): () => void {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(then, ms);
  };
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export const percent = (share: number): string => `${Math.round(100 * share)} %`;
export const seconds = (s: number): string => `${s.toFixed(1)} s`;
