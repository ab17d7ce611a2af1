/** A query and the items nearest to it, moving side by side. */

import { type App, NO_MOTION, type View, clipOf } from "./app";
import { Clip } from "./clip";
import { element, later, notice, renew, says, seconds, shown } from "./dom";
import type { Classification, ClassifyResponse, Item, Neighbour, Query, Recording, SearchResponse } from "./messages";
import { Player, type Stage, stageBox } from "./player";
import { NO_ITEM, neighbourCard, similarityText, verdict, welcome } from "./query_cards";
import { Reading } from "./reading";
import { RecordingPart } from "./recording_part";
import { SearchSettings } from "./search_settings";
import { call, isAbout, isEmptyGallery } from "./server";
import { addingForm } from "./writing";

const NEIGHBOURS = 5;

export class QueryView implements View {
  readonly element: HTMLElement;
  private readonly player = new Player();
  private readonly welcome: HTMLElement;
  private readonly result = element("div", { class: "result", hidden: true });
  private readonly reading: Reading;
  private readonly heading = element("h1", {});
  private readonly about = element("p", { class: "small" });
  private readonly verdict = element("div", { class: "verdict", "aria-live": "polite" });
  private readonly notices = element("div", { class: "notices" });
  private readonly remarkList = element("div", { class: "notices" });
  private readonly row = element("div", { class: "row" });
  private readonly part: RecordingPart;
  private readonly adding = element("div", {});
  private readonly settings: SearchSettings;
  private readonly video: HTMLVideoElement;
  private item: Item | null = null;
  private neighbours: Neighbour[] = [];
  private queryStage: Stage | null = null;
  private asking = new AbortController();
  private shown = "";
  private readonly searchSoon = later(250, () => this.search());

  constructor(private readonly app: App) {
    this.reading = new Reading(app, (file, recordings, remarks) => this.takeRecordings(file, recordings, remarks));
    this.settings = new SearchSettings(() => {
      this.search();
      this.part.look();
    });
    this.part = new RecordingPart(app, this.settings, {
      choose: () => this.showRecording(),
      move: (isDone) => this.showPart(isDone),
    });
    this.video = element("video", { muted: true, playsinline: true, "aria-label": "The video that was dropped" });
    this.video.muted = true;
    this.player.onDraw = () => this.follow();
    this.welcome = welcome(app, this.reading.chooser("Choose a file", "primary"), () => this.takeAny());
    this.result.append(
      element(
        "header",
        { class: "query-head" },
        element("div", {}, this.heading, this.about, this.part.which),
        this.verdict,
      ),
      this.notices,
      this.row,
      this.part.element,
      element("div", { class: "under" }, this.settings.element, this.remarkList, this.adding),
      element("div", { class: "bottom-bar" }, this.player.controls(true)),
    );
    this.element = element("section", { class: "query view" }, this.welcome, this.reading.element, this.result);
  }

  async open(asked: URLSearchParams): Promise<void> {
    const id = asked.get("item") ?? "";
    const key = this.keyOf(id);
    const isSame = key === this.shown;
    this.shown = key;
    if (isSame) {
      this.player.ask();
      this.part.goOn();
      return;
    }
    if (!id) {
      this.neighbours = []; // they may be of another gallery
      if (this.part.recording) {
        this.search();
        this.part.look();
      } else this.showWelcome();
      return;
    }
    try {
      const item = await this.app.item(id);
      if (this.shown === key) this.takeItem(item);
    } catch (error) {
      if (this.shown !== key) return;
      this.showWelcome();
      this.reading.fail(error);
    }
  }

  close(): void {
    this.video.pause();
    this.part.stop();
  }

  key(event: KeyboardEvent): boolean {
    return !this.result.hidden && this.player.key(event);
  }

  take(file: File): void {
    this.shown = this.keyOf("");
    history.replaceState(null, "", this.app.address("query"));
    this.welcome.hidden = true;
    this.result.hidden = true;
    this.reading.read(file);
  }

  /** What the view depends on. */
  private keyOf(id: string): string {
    return `${this.app.gallery}\n${id}\n${this.app.numChanges}`;
  }

  private showWelcome(): void {
    this.welcome.hidden = false;
    this.result.hidden = true;
  }

  private async takeAny(): Promise<void> {
    try {
      const { items } = await this.app.mapItems();
      const item = items[Math.floor(Math.random() * items.length)];
      if (item) this.app.go("query", { item: item.id });
    } catch (error) {
      this.reading.fail(error);
    }
  }

  private begin(): void {
    this.asking.abort();
    this.part.stop();
    this.welcome.hidden = true;
    this.result.hidden = false;
    this.reading.clear();
    this.player.clear();
    this.neighbours = [];
    this.video.pause();
    if (this.video.src) URL.revokeObjectURL(this.video.src);
    this.video.removeAttribute("src");
    this.verdict.replaceChildren(element("p", { class: "small" }, "Searching …"));
    this.notices.replaceChildren();
    this.remarkList.replaceChildren();
  }

  private takeItem(item: Item): void {
    this.begin();
    this.item = item;
    this.heading.textContent = shown(item.label || item.id);
    this.about.textContent = item.label ? `${shown(item.id)}, an item of the gallery` : "an item of the gallery";
    this.settings.showWindows(false);
    this.part.forget();
    this.adding.replaceChildren();
    this.showQuery(clipOf(item), NO_MOTION);
    this.search();
  }

  private takeRecordings(file: File, recordings: Recording[], remarks: string[]): void {
    this.begin();
    this.item = null;
    this.settings.showWindows(true);
    this.heading.textContent = shown(file.name);
    this.remarkList.replaceChildren(...remarks.map((text) => notice("note", text)));
    if (file.type.startsWith("video/")) this.video.src = URL.createObjectURL(file);
    this.part.take(recordings);
  }

  private showRecording(): void {
    const { recording } = this.part;
    if (!recording) return;
    this.about.textContent = shown(this.part.about);
    if (this.app.mayWrite) {
      const stem = this.heading.textContent?.replace(/\.[^.]*$/, "") ?? "dropped";
      const suggested = { id: `${stem}/${recording.name}`, label: recording.label };
      this.adding.replaceChildren(
        addingForm(
          this.app,
          suggested,
          () => this.part.sequence,
          () => this.searchAgain(),
        ),
      );
    }
    this.showQuery(Clip.ofSequence(this.part.sequence), "Nobody is seen in this part.");
    this.search();
    this.part.look();
  }

  private showPart(isDone: boolean): void {
    const clip = Clip.ofSequence(this.part.sequence);
    if (this.queryStage) this.queryStage.clip = clip;
    this.player.mainSeconds = clip.seconds;
    this.player.ask();
    if (isDone) this.searchSoon();
  }

  private showQuery(clip: Clip | null, missing: string): void {
    const isSeen = clip?.isSeen ?? false;
    const label = `Moving skeleton: the query ${this.heading.textContent}`;
    this.queryStage = clip && isSeen ? this.player.addStage({ clip, label }) : null;
    this.player.mainSeconds = clip?.seconds ?? null;
    const box = stageBox(this.queryStage, missing, "Query");
    if (this.video.src) box.append(this.video);
    const title = this.item ? this.item.label || "no label" : this.part.recording?.label || "your recording";
    const card = element(
      "article",
      { class: "card query-card" },
      box,
      element(
        "div",
        { class: "words" },
        element("h2", {}, title),
        element("p", { class: "small" }, clip?.knowsTime ? seconds(clip.seconds) : ""),
      ),
    );
    const neighbours = { class: "neighbours", role: "group", "aria-label": "The nearest items", tabindex: -1 };
    this.row.replaceChildren(card, element("div", neighbours));
    this.player.restart();
  }

  private async search(): Promise<void> {
    const query: Query | null = this.item
      ? { id: this.item.id }
      : this.part.recording
        ? { sequence: this.part.sequence }
        : null;
    if (!query) return;
    this.asking.abort();
    const asking = new AbortController();
    this.asking = asking;
    const { filter, unknownBelow } = this.settings;
    const common = { queries: [query], gallery: this.app.gallery, ...(filter ? { filter } : {}) };
    try {
      const [searched, classified] = await Promise.all([
        call<SearchResponse>("GalleryService/Search", { ...common, top_k: NEIGHBOURS }, asking.signal),
        call<ClassifyResponse>(
          "GalleryService/Classify",
          { ...common, ...(unknownBelow === null ? {} : { unknown_below: unknownBelow }) },
          asking.signal,
        ),
      ]);
      const warnings = new Map(searched.warnings.map((warning) => [warning.kind, warning.text]));
      this.settings.failFilter("");
      this.notices.replaceChildren(...[...warnings.values()].map((text) => notice("warning", text)));
      const neighbours = searched.results[0]?.neighbours ?? [];
      if (filter && !neighbours.length) this.verdict.replaceChildren();
      else this.showVerdict(classified.results[0]);
      await this.showNeighbours(neighbours, common.gallery, asking.signal);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.verdict.replaceChildren();
      const isFilter = isAbout(error, "filter");
      this.settings.failFilter(isFilter ? says(error) : "");
      this.notices.replaceChildren(
        isFilter ? "" : isEmptyGallery(error) ? this.nothingYet() : notice("error", says(error)),
      );
    }
  }

  private nothingYet(): HTMLElement {
    const text = "This gallery is empty, so nothing can be found yet.";
    return notice("note", this.app.mayWrite && this.part.recording ? `${text} Add this recording to it below.` : text);
  }

  /** The gallery has changed. */
  private searchAgain(): void {
    this.shown = this.keyOf("");
    this.search();
    this.part.look();
  }

  private showVerdict(found: Classification | undefined): void {
    if (found) this.verdict.replaceChildren(...verdict(found));
  }

  private async showNeighbours(found: Neighbour[], gallery: string, signal: AbortSignal): Promise<void> {
    const place = this.row.lastElementChild as HTMLElement;
    const named = (each: Neighbour[]) => each.map(({ id, label }) => `${id}\n${label}`).join("\n");
    if (found.length && place.childElementCount === found.length && named(found) === named(this.neighbours)) {
      // Cards stay, so that their skeletons move on. What is near may still be nearer or farther now.
      const numbers = place.querySelectorAll(".number");
      for (const [rank, { similarity }] of found.entries()) numbers[rank]?.replaceChildren(similarityText(similarity));
      this.neighbours = found;
      return;
    }
    const ids = found.map(({ id }) => id);
    const items = await this.app.items(ids, gallery);
    if (signal.aborted) return; // a newer search, or another query, came meanwhile
    this.neighbours = found;
    for (const stage of this.neighbourStages) this.player.remove(stage);
    this.neighbourStages = [];
    const cards = found.map((neighbour, rank) => {
      const item = items[rank];
      const clip = item ? clipOf(item) : null;
      const label = `Moving skeleton: ${neighbour.label || neighbour.id}`;
      const stage = clip && this.player.addStage({ clip, label });
      if (stage) this.neighbourStages.push(stage);
      return neighbourCard(this.app, neighbour, {
        rank: rank + 1,
        stage,
        clip,
        compare: () => this.compareWith(neighbour.id),
      });
    });
    const none = this.settings.filter ? NO_ITEM : "Nothing was found for it.";
    renew(place, cards.length ? cards : [element("p", { class: "none", role: "status" }, none)], place);
    this.player.restart();
  }

  private neighbourStages: Stage[] = [];

  private compareWith(id: string): void {
    if (this.item) this.app.go("compare", { motion: this.item.id, wanted: id });
    else {
      this.app.handed = { name: this.heading.textContent ?? "", sequence: this.part.sequence };
      this.app.go("compare", { wanted: id });
    }
  }

  /** Let timeline and video follow the player. */
  private follow(): void {
    if (!this.part.recording) return;
    const place = Math.min(this.player.place, 1);
    const clip = this.queryStage?.clip;
    const share = clip ? this.player.shareOf(clip) : place;
    const now = this.part.showNow(share);
    if (this.video.readyState > 1 && !this.video.seeking && Math.abs(this.video.currentTime - now) > 0.04) {
      this.video.currentTime = now;
    }
  }
}
