/** What the reader may change of a search: a filter, a threshold, windows. */

import { element, later, notice, on, select } from "./dom";
import type { Filter } from "./messages";

/** The conditions of a line. Spaces part them, unless a condition is in quotes. */
export function conditions(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map((found) => found[1] ?? found[2] ?? "").filter(Boolean);
}

/** What the reader may change of a search. */
export class SearchSettings {
  readonly element: HTMLElement;
  unknownBelow: number | null = null;
  windowSeconds = 2;
  private readonly where: HTMLInputElement;
  private readonly problem = element("div", { class: "problems" });

  constructor(changed: () => void) {
    const said = element("span", { class: "number" }, "any");
    const tell = later(200, changed);
    const threshold = element("input", { type: "range", min: 0, max: 100, step: 1, value: 0 });
    on(threshold, {
      input: () => {
        const value = Number(threshold.value) / 100;
        this.unknownBelow = value ? value : null;
        said.textContent = value ? value.toFixed(2) : "any";
        threshold.setAttribute("aria-valuetext", said.textContent);
        tell();
      },
    });
    this.where = on(
      element("input", {
        type: "text",
        placeholder: "e.g. subject>=3   label=walk,run",
        autocomplete: "off",
        spellcheck: "false",
      }),
      { input: later(400, changed) },
    );
    const options: [string, string][] = ["1", "2", "3", "4", "6"].map((value) => [value, `${value} s`]);
    const windows = select("Length of the windows of long recordings", options, "2", (value) => {
      this.windowSeconds = Number(value);
      changed();
    });
    this.element = element(
      "section",
      { class: "card settings", "aria-label": "Settings of the search" },
      element(
        "label",
        { class: "field" },
        element("span", {}, "Similarity that a class needs: ", said),
        threshold,
      ),
      element(
        "div",
        {},
        element("label", { class: "field" }, element("span", {}, "Search only in items with"), this.where),
        this.problem,
      ),
      element("label", { class: "field" }, element("span", {}, "Windows of long recordings"), windows),
    );
  }

  get filter(): Filter | null {
    const where = conditions(this.where.value);
    return where.length ? { where } : null;
  }

  /** Say what is wrong with the filter; an empty text: nothing is. */
  failFilter(text: string): void {
    this.where.setAttribute("aria-invalid", String(text !== ""));
    this.problem.replaceChildren(text && notice("error", text));
  }
}
