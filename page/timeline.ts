/** A recording's time as a line: a part that can be chosen, what is now, and what happens when. */

import { button, element, on, renew } from "./dom";

export interface Segment {
  start: number; // seconds
  end: number;
  text: string;
  colour: string;
  /** Of the most similar item to any of its windows; null where nobody is seen. */
  similarity: number | null;
}

interface Handlers {
  /** While the reader drags: show it. `isDone`: they let go, or pressed a key. */
  choose: (start: number, end: number, isDone: boolean) => void;
  jump: (segment: Segment) => void;
}

type End = "start" | "end";

export class Timeline {
  readonly element: HTMLElement;
  private readonly track: HTMLElement;
  private readonly part = element("div", { class: "chosen" });
  private readonly now = element("div", { class: "now" });
  private readonly lane = element("div", { class: "lane" });
  private readonly ticks = element("div", { class: "ticks", "aria-hidden": "true" });
  private readonly handles: Record<End, HTMLElement>;
  private whole = 1;
  private least = 0.1;
  private most = Number.POSITIVE_INFINITY;
  start = 0;
  end = 1;

  constructor(private readonly handlers: Handlers) {
    this.handles = { start: this.handle("start"), end: this.handle("end") };
    this.track = element(
      "div",
      { class: "track" },
      this.lane,
      this.part,
      this.now,
      this.handles.start,
      this.handles.end,
    );
    this.element = element("div", { class: "timeline" }, this.track, this.ticks);
    this.dragPart();
    this.dragNew();
  }

  /** Show a recording of `whole` seconds. A chosen part has from `least` to `most` seconds. */
  show(whole: number, least: number, most: number): void {
    [this.whole, this.least, this.most] = [whole, Math.min(least, whole), Math.min(most, whole)];
    this.set(0, this.most);
    const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
    const step = steps.find((each) => whole / each <= 8) ?? 7200;
    const ticks: HTMLElement[] = [];
    for (let at = 0; at <= whole + 1e-6; at += step) {
      const tick = element("span", {}, clock(at));
      tick.style.left = `${(100 * at) / whole}%`;
      ticks.push(tick);
    }
    this.ticks.replaceChildren(...ticks);
    this.showSegments([]);
  }

  set(start: number, end: number): void {
    const length = Math.min(Math.max(end - start, this.least), this.most);
    this.start = Math.min(Math.max(start, 0), this.whole - length);
    this.end = this.start + length;
    const at = (time: number) => `${(100 * time) / this.whole}%`;
    this.part.style.left = at(this.start);
    this.part.style.width = at(this.end - this.start);
    for (const [name, handle] of Object.entries(this.handles) as [End, HTMLElement][]) {
      const time = name === "start" ? this.start : this.end;
      handle.style.left = at(time);
      handle.setAttribute("aria-valuemin", "0");
      handle.setAttribute("aria-valuemax", this.whole.toFixed(2));
      handle.setAttribute("aria-valuenow", time.toFixed(2));
      handle.setAttribute("aria-valuetext", `${time.toFixed(2)} seconds`);
    }
  }

  showNow(time: number): void {
    this.now.style.left = `${(100 * time) / this.whole}%`;
  }

  showSegments(segments: Segment[]): void {
    renew(
      this.lane,
      segments.map((segment) => {
        const similarity = segment.similarity?.toFixed(2) ?? "";
        const said =
          `${segment.text}, ${segment.start.toFixed(1)} to ${segment.end.toFixed(1)} s` +
          (similarity && `, similarity ${similarity}`);
        const text = `${segment.text} ${similarity}`.trim();
        const made = button(text, () => this.handlers.jump(segment), "", {
          title: said,
          "aria-label": `Jump to ${said}`,
          "data-key": String(segment.start),
        });
        made.style.left = `${(100 * segment.start) / this.whole}%`;
        made.style.width = `${(100 * (segment.end - segment.start)) / this.whole}%`;
        made.style.setProperty("--own", segment.colour);
        return made;
      }),
      this.handles.start,
    );
    this.element.classList.toggle("has-lane", segments.length > 0);
  }

  private timeAt(event: PointerEvent): number {
    const box = this.track.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * this.whole;
  }

  private move(end: End, time: number): void {
    if (end === "start") {
      const start = Math.min(Math.max(time, 0), this.end - this.least);
      this.set(Math.max(start, this.end - this.most), this.end);
    } else {
      const stop = Math.max(Math.min(time, this.whole), this.start + this.least);
      this.set(this.start, Math.min(stop, this.start + this.most));
    }
  }

  private tell(isDone: boolean): void {
    this.handlers.choose(this.start, this.end, isDone);
  }

  private handle(end: End): HTMLElement {
    const name = end === "start" ? "Start of the part" : "End of the part";
    const made = element("div", { class: `handle ${end}`, role: "slider", tabindex: 0, "aria-label": name });
    return on(made, {
      pointerdown: (event) => {
        made.setPointerCapture(event.pointerId);
        event.stopPropagation();
      },
      pointermove: (event) => {
        if (!made.hasPointerCapture(event.pointerId)) return;
        this.move(end, this.timeAt(event));
        this.tell(false);
      },
      pointerup: () => this.tell(true),
      keydown: (event) => {
        const step = (event.shiftKey ? 0.1 : 0.01) * this.whole;
        const now = end === "start" ? this.start : this.end;
        const wanted = {
          ArrowLeft: now - step,
          ArrowDown: now - step,
          ArrowRight: now + step,
          ArrowUp: now + step,
          Home: 0,
          End: this.whole,
        }[event.key];
        if (wanted === undefined) return;
        event.preventDefault();
        this.move(end, wanted);
        this.tell(true);
      },
    });
  }

  /** The part is moved as a whole. */
  private dragPart(): void {
    let grip: number | null = null;
    on(this.part, {
      pointerdown: (event) => {
        event.stopPropagation();
        this.part.setPointerCapture(event.pointerId);
        grip = this.timeAt(event) - this.start;
      },
      pointermove: (event) => {
        if (grip === null || !this.part.hasPointerCapture(event.pointerId)) return;
        const start = this.timeAt(event) - grip;
        this.set(start, start + this.end - this.start);
        this.tell(false);
      },
      pointerup: () => {
        grip = null;
        this.tell(true);
      },
    });
  }

  /** Dragging beside the part chooses a new one. */
  private dragNew(): void {
    let from: number | null = null;
    on(this.track, {
      pointerdown: (event) => {
        if ((event.target as HTMLElement).closest("button")) return;
        this.track.setPointerCapture(event.pointerId);
        from = this.timeAt(event);
      },
      pointermove: (event) => {
        if (from === null) return;
        const to = this.timeAt(event);
        if (Math.abs(to - from) < 0.01 * this.whole) return;
        this.set(Math.min(from, to), Math.max(from, to));
        this.tell(false);
      },
      pointerup: () => {
        if (from !== null) this.tell(true);
        from = null;
      },
    });
  }
}

function clock(time: number): string {
  if (time < 60) return `${Number(time.toFixed(1))} s`;
  return `${Math.floor(time / 60)}:${String(Math.round(time % 60)).padStart(2, "0")}`;
}
