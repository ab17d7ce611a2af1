/** Which part of which recording is the query, and what happens when in a long one. */

import type { App } from "./app";
import { partOf } from "./clip";
import { element, notice, says, seconds, select } from "./dom";
import type { Recording, Sequence } from "./messages";
import type { SearchSettings } from "./search_settings";
import { isAbout, isEmptyGallery } from "./server";
import { type Segment, Timeline } from "./timeline";
import { type WindowAsk, classifyWindows } from "./windows";

// A recording that is longer than this is looked at window by window.
const LONG_S = 4;

interface Listeners {
  /** Another recording of the file was chosen. */
  choose: () => void;
  /** Another part of it was chosen; `isDone` is false while the reader still moves its ends. */
  move: (isDone: boolean) => void;
}

export class RecordingPart {
  /** The recordings of the file, where it has several. */
  readonly which = element("div", {});
  readonly element = element("section", {
    class: "card time-card",
    "aria-label": "Time in the recording",
    hidden: true,
  });
  recording: Recording | null = null;
  private recordings: Recording[] = [];
  private readonly note = element("p", { class: "small" });
  private readonly problem = element("div", { class: "problems" });
  private readonly timeline: Timeline;
  private looking = new AbortController();
  private isLooked = true; // the windows of the recording are classified

  constructor(
    private readonly app: App,
    private readonly settings: SearchSettings,
    private readonly tell: Listeners,
  ) {
    this.timeline = new Timeline({
      choose: (_start, _end, isDone) => this.move(isDone),
      jump: (segment) => {
        this.timeline.set(segment.start, segment.end);
        this.move(true);
      },
    });
    this.element.append(this.note, this.timeline.element, this.problem);
  }

  take(recordings: Recording[]): void {
    this.recordings = recordings;
    this.which.replaceChildren();
    if (recordings.length > 1) {
      const options = recordings.map(({ name, label }, place): [string, string] => [
        String(place),
        label ? `${name} · ${label}` : name,
      ]);
      const choose = select("Recording of this file", options, "0", (value) => this.choose(Number(value)));
      this.which.append(element("div", { class: "which" }, choose));
    }
    this.choose(0);
  }

  /** There is no recording any more. */
  forget(): void {
    this.stop();
    this.recording = null;
    this.element.hidden = true;
    this.which.replaceChildren();
  }

  /** What is said about the recording. */
  get about(): string {
    if (!this.recording) return "";
    const { name, label, sequence } = this.recording;
    return [
      this.recordings.length > 1 ? name : "",
      label && `labelled ${label}`,
      `${seconds(this.length)}, ${sequence.num_frames} frames`,
      `joints as ${sequence.layout}`,
    ]
      .filter(Boolean)
      .join(" · ");
  }

  /** The part that was chosen, of a recording that there is. */
  get sequence(): Sequence {
    const { sequence } = this.recording as Recording;
    const fps = sequence.fps || 30;
    const start = Math.min(Math.round(this.timeline.start * fps), sequence.num_frames - 1);
    const end = Math.min(Math.max(Math.round(this.timeline.end * fps), start + 1), sequence.num_frames);
    return start === 0 && end === sequence.num_frames ? sequence : partOf(sequence, start, end);
  }

  /** Find what happens when in a long recording. */
  async look(): Promise<void> {
    this.looking.abort();
    const looking = new AbortController();
    this.looking = looking;
    this.problem.replaceChildren();
    this.isLooked = this.length < LONG_S;
    if (!this.recording || this.isLooked) return;
    let known: Segment[] = []; // until there are some, those that were shown before stay, with the focus
    const ask: WindowAsk = {
      seconds: this.settings.windowSeconds,
      unknownBelow: this.settings.unknownBelow,
      filter: this.settings.filter,
    };
    try {
      await classifyWindows(this.app, this.recording.sequence, ask, looking.signal, (segments) => {
        if (looking.signal.aborted) return;
        known = segments;
        this.timeline.showSegments(segments);
      });
    } catch (error) {
      if (looking.signal.aborted) return;
      this.timeline.showSegments(known);
      // The search says what is wrong with the filter, and that the gallery is empty.
      if (!isAbout(error, "filter") && !isEmptyGallery(error))
        this.problem.replaceChildren(notice("error", says(error)));
    }
    this.isLooked ||= !looking.signal.aborted;
  }

  /** Look again, if it was stopped before all was seen. */
  goOn(): void {
    if (!this.isLooked) this.look();
  }

  stop(): void {
    this.looking.abort();
  }

  /** Mark the moment at a share 0 .. 1 of the part, and give it in seconds of the recording. */
  showNow(share: number): number {
    const now = this.timeline.start + share * (this.timeline.end - this.timeline.start);
    this.timeline.showNow(now);
    return now;
  }

  /** Seconds of the recording; 0 without one. */
  private get length(): number {
    const sequence = this.recording?.sequence;
    return sequence ? sequence.num_frames / (sequence.fps || 30) : 0;
  }

  private choose(place: number): void {
    const recording = this.recordings[place];
    if (!recording) return;
    this.recording = recording;
    const { num_frames: numFrames, fps } = recording.sequence;
    const most = (this.app.info?.limits.max_frames ?? numFrames) / (fps || 30);
    this.element.hidden = numFrames < 8;
    this.timeline.show(this.length, Math.min(4 / (fps || 30), this.length), most);
    this.describe();
    this.tell.choose();
  }

  private move(isDone: boolean): void {
    this.describe();
    this.tell.move(isDone);
  }

  private describe(): void {
    const { start, end } = this.timeline;
    this.note.textContent = `The query is ${seconds(start)} to ${seconds(end)}. Drag the ends, or move them with the arrow keys.`;
  }
}
