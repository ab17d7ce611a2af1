/** A query and the items nearest to it, moving side by side. */

import { type App, NO_MOTION, type View, clipOf } from "./app";
import { Clip, partOf } from "./clip";
import { element, isAbort, later, notice, says, seconds, select } from "./dom";
import type { Classification, ClassifyResponse, Item, Neighbour, Query, Recording, SearchResponse } from "./messages";
import { Player, type Stage, stageBox } from "./player";
import { NO_ITEM, neighbourCard, verdict, welcome } from "./query_cards";
import { Reading } from "./reading";
import { SearchSettings } from "./search_settings";
import { call, isAbout, isEmptyGallery } from "./server";
import { Timeline } from "./timeline";
import { type WindowAsk, classifyWindows } from "./windows";
import { addingForm } from "./writing";

const NEIGHBOURS = 5;
// A recording that is longer than these windows is looked at window by window.
const LONG_S = 4;

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
  private readonly time = element("section", {
    class: "card time-card",
    "aria-label": "Time in the recording",
    hidden: true,
  });
  private readonly timeNote = element("p", { class: "small" });
  private readonly timeProblem = element("div", { class: "problems" });
  private readonly timeline: Timeline;
  private readonly which = element("div", {});
  private readonly adding = element("div", {});
  private readonly settings: SearchSettings;
  private readonly video: HTMLVideoElement;
  private item: Item | null = null;
  private recordings: Recording[] = [];
  private recording: Recording | null = null;
  private neighbours: Neighbour[] = [];
  private queryStage: Stage | null = null;
  private asking = new AbortController();
  private looking = new AbortController();
  private isLooked = true; // the windows of the recording are classified
  private shown = "";
  private readonly searchSoon = later(250, () => this.search());

  constructor(private readonly app: App) {
    this.reading = new Reading(app, (file, recordings, remarks) => this.takeRecordings(file, recordings, remarks));
    this.settings = new SearchSettings(() => {
      this.search();
      this.look();
    });
    this.timeline = new Timeline({
      choose: (start, end, isDone) => this.choosePart(start, end, isDone),
      jump: (segment) => {
        this.timeline.set(segment.start, segment.end);
        this.choosePart(segment.start, segment.end, true);
      },
    });
    this.video = element("video", { muted: true, playsinline: true, "aria-label": "The video that was dropped" });
    this.video.muted = true;
    this.player.onDraw = () => this.follow();
    this.welcome = welcome(app, this.reading.chooser("Choose a file", "primary"), () => this.takeAny());
    this.time.append(this.timeNote, this.timeline.element, this.timeProblem);
    this.result.append(
      element(
        "header",
        { class: "query-head" },
        element("div", {}, this.heading, this.about, this.which),
        this.verdict,
      ),
      this.notices,
      this.row,
      this.time,
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
      if (!this.isLooked) this.look();
      return;
    }
    if (!id) {
      this.neighbours = []; // they may be of another gallery
      if (this.recording) {
        this.search();
        this.look();
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
    this.looking.abort();
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
    this.looking.abort();
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
    [this.item, this.recording, this.recordings] = [item, null, []];
    this.heading.textContent = item.label || item.id;
    this.about.textContent = item.label ? `${item.id}, an item of the gallery` : "an item of the gallery";
    this.time.hidden = true;
    this.settings.showWindows(false);
    this.which.replaceChildren();
    this.adding.replaceChildren();
    this.showQuery(clipOf(item), NO_MOTION);
    this.search();
  }

  private takeRecordings(file: File, recordings: Recording[], remarks: string[]): void {
    this.begin();
    [this.item, this.recordings] = [null, recordings];
    this.settings.showWindows(true);
    this.heading.textContent = file.name;
    this.remarkList.replaceChildren(...remarks.map((text) => notice("note", text)));
    if (file.type.startsWith("video/")) this.video.src = URL.createObjectURL(file);
    this.which.replaceChildren();
    if (recordings.length > 1) {
      const options = recordings.map(({ name, label }, place): [string, string] => [
        String(place),
        label ? `${name} · ${label}` : name,
      ]);
      const choose = select("Recording of this file", options, "0", (value) => this.chooseRecording(Number(value)));
      this.which.append(element("div", { class: "which" }, choose));
    }
    this.chooseRecording(0);
  }

  private chooseRecording(place: number): void {
    const recording = this.recordings[place];
    if (!recording) return;
    this.recording = recording;
    const { sequence } = recording;
    const fps = sequence.fps || 30;
    const whole = sequence.num_frames / fps;
    const most = (this.app.info?.limits.max_frames ?? sequence.num_frames) / fps;
    this.about.textContent = [
      this.recordings.length > 1 ? recording.name : "",
      recording.label && `labelled ${recording.label}`,
      `${seconds(whole)}, ${sequence.num_frames} frames`,
      `joints as ${sequence.layout}`,
    ]
      .filter(Boolean)
      .join(" · ");
    this.time.hidden = sequence.num_frames < 8;
    this.timeline.show(whole, Math.min(4 / fps, whole), most);
    if (this.app.mayWrite) {
      const stem = this.heading.textContent?.replace(/\.[^.]*$/, "") ?? "dropped";
      const suggested = { id: `${stem}/${recording.name}`, label: recording.label };
      this.adding.replaceChildren(
        addingForm(
          this.app,
          suggested,
          () => this.part(),
          () => this.searchAgain(),
        ),
      );
    }
    this.showQuery(Clip.ofSequence(this.part()), "Nobody is seen in this part.");
    this.search();
    this.look();
  }

  /** The part of the recording that was chosen. */
  private part() {
    const { sequence } = this.recording as Recording;
    const fps = sequence.fps || 30;
    const start = Math.min(Math.round(this.timeline.start * fps), sequence.num_frames - 1);
    const end = Math.min(Math.max(Math.round(this.timeline.end * fps), start + 1), sequence.num_frames);
    return start === 0 && end === sequence.num_frames ? sequence : partOf(sequence, start, end);
  }

  private choosePart(_start: number, _end: number, isDone: boolean): void {
    const clip = Clip.ofSequence(this.part());
    if (this.queryStage) this.queryStage.clip = clip;
    this.player.mainSeconds = clip.seconds;
    this.describePart();
    this.player.ask();
    if (isDone) this.searchSoon();
  }

  private describePart(): void {
    const { start, end } = this.timeline;
    this.timeNote.textContent = `The query is ${seconds(start)} to ${seconds(end)}. Drag the ends, or move them with the arrow keys.`;
  }

  private showQuery(clip: Clip | null, missing: string): void {
    const isSeen = clip?.isSeen ?? false;
    const label = `Moving skeleton: the query ${this.heading.textContent}`;
    this.queryStage = clip && isSeen ? this.player.addStage({ clip, label }) : null;
    this.player.mainSeconds = clip?.seconds ?? null;
    const box = stageBox(this.queryStage, missing, "Query");
    if (this.video.src) box.append(this.video);
    const title = this.item ? this.item.label || "no label" : this.recording?.label || "your recording";
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
    this.row.replaceChildren(card, element("div", { class: "neighbours" }));
    this.describePart();
    this.player.restart();
  }

  private async search(): Promise<void> {
    const query: Query | null = this.item ? { id: this.item.id } : this.recording ? { sequence: this.part() } : null;
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
      await this.showNeighbours(neighbours);
    } catch (error) {
      if (isAbort(error)) return;
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
    return notice("note", this.app.mayWrite && this.recording ? `${text} Add this recording to it below.` : text);
  }

  /** The gallery has changed. */
  private searchAgain(): void {
    this.shown = this.keyOf("");
    this.search();
    this.look();
  }

  private showVerdict(found: Classification | undefined): void {
    if (found) this.verdict.replaceChildren(...verdict(found));
  }

  private async showNeighbours(found: Neighbour[]): Promise<void> {
    const place = this.row.lastElementChild as HTMLElement;
    const isSame = found.map(({ id }) => id).join("\n") === this.neighbours.map(({ id }) => id).join("\n");
    if (isSame && place.childElementCount) return;
    const items = await this.app.items(found.map(({ id }) => id));
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
    place.replaceChildren(...cards);
    if (!cards.length) {
      place.append(
        element("p", { class: "none", role: "status" }, this.settings.filter ? NO_ITEM : "Nothing was found for it."),
      );
    }
    this.player.restart();
  }

  private neighbourStages: Stage[] = [];

  private compareWith(id: string): void {
    if (this.item) this.app.go("compare", { motion: this.item.id, wanted: id });
    else {
      this.app.handed = { name: this.heading.textContent ?? "", sequence: this.part() };
      this.app.go("compare", { wanted: id });
    }
  }

  /** Find what happens when in a long recording. */
  private async look(): Promise<void> {
    this.looking.abort();
    const looking = new AbortController();
    this.looking = looking;
    this.timeline.showSegments([]);
    this.timeProblem.replaceChildren();
    const sequence = this.recording?.sequence;
    this.isLooked = !sequence || sequence.num_frames / (sequence.fps || 30) < LONG_S;
    if (!sequence || this.isLooked) return;
    try {
      const ask: WindowAsk = {
        seconds: this.settings.windowSeconds,
        unknownBelow: this.settings.unknownBelow,
        filter: this.settings.filter,
      };
      await classifyWindows(this.app, sequence, ask, looking.signal, (segments) => {
        if (!looking.signal.aborted) this.timeline.showSegments(segments);
      });
    } catch (error) {
      if (looking.signal.aborted) return;
      // The search says what is wrong with the filter, and that the gallery is empty.
      if (!isAbout(error, "filter") && !isEmptyGallery(error))
        this.timeProblem.replaceChildren(notice("error", says(error)));
    }
    this.isLooked ||= !looking.signal.aborted;
  }

  /** Let timeline and video follow the player. */
  private follow(): void {
    if (!this.recording) return;
    const place = Math.min(this.player.place, 1);
    const clip = this.queryStage?.clip;
    const share = clip ? this.player.shareOf(clip) : place;
    const now = this.timeline.start + share * (this.timeline.end - this.timeline.start);
    this.timeline.showNow(now);
    if (this.video.readyState > 1 && !this.video.seeking && Math.abs(this.video.currentTime - now) > 0.04) {
      this.video.currentTime = now;
    }
  }
}
