/** A place for one motion of a comparison: an item of the gallery, or a recording of a file. */

import { type App, NO_MOTION, clipOf } from "./app";
import { Clip } from "./clip";
import { button, element, later, notice, on, renew, says, seconds, select } from "./dom";
import type { MapItem, Recording, Sequence, Shown } from "./messages";
import { type Player, type Stage, stageBox } from "./player";
import { Reading } from "./reading";

const MOST_FOUND = 40;

export class Slot {
  readonly element: HTMLElement;
  readonly reading: Reading;
  shown: Shown | null = null;
  name = "";
  private gallery = ""; // of the item
  private soughtIn = ""; // the gallery of the hits
  private readonly box = element("div", { class: "slot-box" });
  private readonly words = element("div", { class: "words" });
  private readonly search: HTMLInputElement;
  private readonly list = element("ul", { class: "items", hidden: true });
  private stage: Stage | null = null;

  constructor(
    private readonly app: App,
    private readonly player: Player,
    readonly title: string,
    readonly hint: string,
    private readonly changed: () => void,
  ) {
    this.reading = new Reading(app, (file, recordings, remarks) =>
      this.takeRecordings(file.name, recordings, remarks),
    );
    this.search = on(
      element("input", {
        type: "search",
        placeholder: "Find an item by id or label",
        "aria-label": `${title}: find an item by id or label`,
        autocomplete: "off",
      }),
      { input: later(200, () => this.find()), keydown: (event) => this.press(event) },
    );
    on(this.list, { keydown: (event) => this.press(event) });
    this.element = element(
      "section",
      { class: "card slot", "aria-label": title },
      element("header", {}, element("h2", {}, title), element("p", { class: "small" }, hint)),
      this.box,
      this.words,
      element("div", { class: "choosing" }, this.search, this.reading.chooser("Choose a file")),
      this.list,
      this.reading.element,
    );
    this.show(null, "Nothing is chosen yet.");
  }

  /** Take an item of the gallery. */
  async takeItem(id: string): Promise<void> {
    const { gallery } = this.app;
    const choice = this.reading.clear(); // a file that is read meanwhile would take the item's place
    if (this.shown?.id === id && this.gallery === gallery) return;
    this.endSearch();
    const isOld = () => choice.aborted || this.app.gallery !== gallery;
    try {
      const item = await this.app.item(id);
      const clip = clipOf(item);
      if (isOld()) return;
      this.shown = clip ? { id } : null;
      this.gallery = gallery;
      this.name = item.label || id;
      this.show(clip, NO_MOTION);
      this.words.replaceChildren(
        element("h3", { class: "name" }, item.label || "no label"),
        element("p", { class: "small" }, clip?.knowsTime ? `${id} · ${seconds(clip.seconds)}` : id),
      );
      this.changed();
    } catch (error) {
      if (!isOld()) this.reading.fail(error);
    }
  }

  /** Forget an item, and hits, of another gallery than the present one. Gives whether there was an item. */
  dropOthers(): boolean {
    if (this.soughtIn !== this.app.gallery) this.endSearch();
    if (!this.shown?.id || this.gallery === this.app.gallery) return false;
    this.shown = null;
    this.name = "";
    this.words.replaceChildren();
    this.show(null, "Nothing is chosen yet.");
    return true;
  }

  takeSequence(name: string, sequence: Sequence): void {
    this.reading.clear();
    this.takeRecordings(name, [{ name, label: "", sequence }]);
  }

  private takeRecordings(file: string, recordings: Recording[], remarks: string[] = []): void {
    const choose = (place: number) => {
      const recording = recordings[place];
      if (!recording) return;
      this.shown = { sequence: recording.sequence };
      this.name = file;
      const clip = Clip.ofSequence(recording.sequence);
      this.show(clip.isSeen ? clip : null, "Nobody is seen in this recording.");
      this.changed();
    };
    const options = recordings.map(({ name, label }, place): [string, string] => [
      String(place),
      label ? `${name} · ${label}` : name,
    ]);
    this.words.replaceChildren(
      element("h3", { class: "name" }, file),
      options.length > 1 ? select("Recording of this file", options, "0", (value) => choose(Number(value))) : "",
      ...remarks.map((text) => notice("note", text)),
    );
    choose(0);
  }

  private show(clip: Clip | null, missing: string): void {
    if (this.stage) this.player.remove(this.stage);
    this.stage = clip && this.player.addStage({ clip, label: `Moving skeleton: ${this.title}` });
    this.box.replaceChildren(stageBox(this.stage, missing));
    this.player.ask();
  }

  /** Enter takes the only hit, and the arrow keys go through the hits. */
  private async press(event: KeyboardEvent): Promise<void> {
    const direction = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const isEnter = event.key === "Enter" && event.target === this.search;
    if (!direction && !isEnter) return;
    event.preventDefault();
    // What was typed last may not have been looked for.
    if (event.target === this.search && !(await this.find())) return;
    const hits = [...this.list.querySelectorAll("button")];
    if (isEnter) {
      if (hits.length === 1) hits[0]?.click();
      return;
    }
    const next = hits.indexOf(document.activeElement as HTMLButtonElement) + (direction ?? 0);
    if (next < 0) this.search.focus();
    else hits[Math.min(next, hits.length - 1)]?.focus();
  }

  private endSearch(): void {
    this.search.value = "";
    this.find();
  }

  /** List the items that have the typed text in their id or label. Gives whether what is typed now is listed. */
  private async find(): Promise<boolean> {
    const { gallery } = this.app;
    this.soughtIn = gallery;
    const sought = this.search.value.trim().toLowerCase();
    this.list.hidden = !sought;
    if (!sought) {
      renew(this.list, [], this.search);
      return false;
    }
    const isStillSought = () => sought === this.search.value.trim().toLowerCase() && gallery === this.app.gallery;
    try {
      const { items } = await this.app.mapItems();
      if (!isStillSought()) return false; // another search, or a choice, came meanwhile
      const found = items.filter(
        ({ id, label }) => id.toLowerCase().includes(sought) || label.toLowerCase().includes(sought),
      );
      const none = element("li", { class: "more" }, "No item of this map has this in its id or label.");
      // The search begins anew a moment after the last letter, when somebody may already go through the hits by keys.
      renew(this.list, found.length ? found.slice(0, MOST_FOUND).map((item) => this.hit(item)) : [none], this.search);
      return true;
    } catch (error) {
      if (isStillSought()) renew(this.list, [element("li", { class: "more" }, says(error))], this.search);
      return false;
    }
  }

  private hit({ id, label }: MapItem): HTMLElement {
    const choose = () => {
      if (document.activeElement === entry) this.search.focus(); // the list goes
      this.takeItem(id);
    };
    const entry = button("", choose, "", { "data-key": id });
    entry.append(element("span", { class: "name" }, label || "no label"), element("span", { class: "id" }, id));
    return element("li", {}, entry);
  }
}
