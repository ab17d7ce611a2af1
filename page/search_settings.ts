/** What the reader may change of a search: a filter, a threshold, windows. */

import { element, later, notice, on, select } from "./dom";
import type { Filter } from "./messages";

/** What a text box for conditions shows before something is typed. */
export const EXAMPLE = "e.g. label=walk,run   subject=3";

// A text in double quotes, in which a backslash makes a quote ordinary; or what stands outside of them.
const WORDS = /(?:"(?:\\.|[^"\\])*"|\\.|[^\s"\\]|["\\])+/g;
const QUOTED = /^"((?:\\.|[^"\\])*)"$/;
const STARTS_WITH_OPERATOR = /^(?:!=|[<>=])/;
const HAS_OPERATOR = /^(?:\\.|[^"\\=<>])*[=<>]/;

/**
 * The conditions of a line, as `--where` takes each of them: the server reads what stands in one.
 *
 * Spaces part conditions. A word that is not a condition belongs to the one before it: `label=sit down`, `subject >= 3`. A
 * whole condition may stand in double quotes, and so may a value: `"label=sit down"`, `label="sit down"`.
 */
export function conditions(line: string): string[] {
  const found: string[] = [];
  let isWhole = false; // the last one stood in quotes
  const words = line.match(WORDS) ?? [];
  words.forEach((word, place) => {
    const last = found.at(-1);
    const wantsMore = last !== undefined && !isWhole && /(?:[=<>!]|,)$/.test(last);
    const quoted = wantsMore ? undefined : QUOTED.exec(word)?.[1];
    if (quoted !== undefined && HAS_OPERATOR.test(quoted)) {
      found.push(quoted.replace(/\\"/g, '"'));
      isWhole = true;
      return;
    }
    const isKey = STARTS_WITH_OPERATOR.test(words[place + 1] ?? "");
    const isCondition = !STARTS_WITH_OPERATOR.test(word) && (isKey || HAS_OPERATOR.test(word));
    if (last === undefined || isWhole || (isCondition && !wantsMore)) found.push(word);
    else found[found.length - 1] = `${last} ${word}`;
    isWhole = false;
  });
  return found;
}

/** A slider for the similarity below which a class is unknown; null: none is asked for. */
export function threshold(changed: (value: number | null) => void): HTMLElement {
  const said = element("span", { class: "number" }, "any");
  const slider = element("input", { type: "range", min: 0, max: 100, step: 1, value: 0, "aria-valuetext": "any" });
  on(slider, {
    input: () => {
      const value = Number(slider.value) / 100;
      said.textContent = value ? `${value.toFixed(2)} or more` : "any";
      slider.setAttribute("aria-valuetext", said.textContent);
      changed(value || null);
    },
  });
  return element("label", { class: "field" }, element("span", {}, "Similarity that a class needs: ", said), slider);
}

/** What the reader may change of a search. */
export class SearchSettings {
  readonly element: HTMLElement;
  unknownBelow: number | null = null;
  windowSeconds = 2;
  private readonly where: HTMLInputElement;
  private readonly windows: HTMLElement;
  private readonly problem = element("div", { class: "problems" });

  constructor(changed: () => void) {
    const tell = later(200, changed);
    this.where = on(
      element("input", {
        type: "text",
        placeholder: EXAMPLE,
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
    this.windows = element(
      "div",
      {},
      element("label", { class: "field" }, element("span", {}, "Windows of long recordings"), windows),
      element("p", { class: "small" }, "Best about as long as the movement that you look for."),
    );
    this.element = element(
      "section",
      { class: "card settings", "aria-label": "Settings of the search" },
      threshold((value) => {
        this.unknownBelow = value;
        tell();
      }),
      element(
        "div",
        {},
        element("label", { class: "field" }, element("span", {}, "Search only in items with"), this.where),
        this.problem,
      ),
      this.windows,
    );
  }

  /** Only recordings have windows. */
  showWindows(areUsed: boolean): void {
    this.windows.hidden = !areUsed;
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
