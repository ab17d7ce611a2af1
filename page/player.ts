/** Plays clips on stages, all by one clock and from one point of view. */

import type { Clip, Pose } from "./clip";
import { onThemeChange } from "./colours";
import { button, element, on, percent, seconds, select, shown } from "./dom";
import { type Job, Painter, type Tint, type View } from "./painter";

const HOME: View = { yaw: 0.44, pitch: 0.16 };
const END_PAUSE_S = 0.5;
const STEP = 0.02; // of the whole, for one press of an arrow key

let painter: Painter | null | undefined;

/** The painter of this page; null where the browser has no WebGL. */
function thePainter(): Painter | null {
  if (painter === undefined) {
    try {
      painter = new Painter();
    } catch {
      painter = null;
    }
  }
  return painter;
}

export interface StageOptions {
  /** What a screen reader says of it. */
  label: string;
  clip?: Clip;
  /** Where the clip is at a place 0 .. 1 of the player. Without it, in step or by the clock. */
  share?: (place: number) => number;
  tint?: (place: number) => Tint;
}

/** A canvas on which a clip moves. */
export class Stage {
  readonly canvas: HTMLCanvasElement;
  private isVisible = false; // until the browser says which are: a page may have hundreds
  private readonly watcher: IntersectionObserver;
  clip: Clip | undefined;
  /** Drawn instead of a place of the clip: what a camera sees now. */
  pose: Pose | null = null;

  constructor(
    private readonly player: Player,
    private readonly options: StageOptions,
  ) {
    this.clip = options.clip;
    this.canvas = element("canvas", { role: "img", "aria-label": options.label });
    this.turnByDragging();
    this.watcher = new IntersectionObserver(
      (entries) => {
        this.isVisible = entries.at(-1)?.isIntersecting ?? false;
        player.ask();
      },
      { rootMargin: "80px" },
    );
    this.watcher.observe(this.canvas);
  }

  describe(label: string): void {
    this.canvas.setAttribute("aria-label", shown(label));
  }

  close(): void {
    this.watcher.disconnect();
  }

  /** What is to be drawn now; null where nothing is. */
  job(): Job | null {
    const { canvas, clip } = this;
    if (!this.isVisible || !canvas.isConnected) return null;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (!width || !height) return null;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (!clip) {
      canvas.getContext("2d")?.clearRect(0, 0, width, height);
      return null;
    }
    const place = Math.min(this.player.place, 1);
    const share = this.options.share?.(place) ?? this.player.shareOf(clip);
    return { canvas, clip, pose: this.pose ?? clip.poseAt(share), tint: this.options.tint?.(place) };
  }

  private turnByDragging(): void {
    let last: [number, number] | null = null;
    on(this.canvas, {
      pointerdown: (event) => {
        this.canvas.setPointerCapture(event.pointerId);
        last = [event.clientX, event.clientY];
      },
      pointermove: (event) => {
        if (!last || !this.canvas.hasPointerCapture(event.pointerId)) return;
        this.player.turn(-0.01 * (event.clientX - last[0]), 0.01 * (event.clientY - last[1]));
        last = [event.clientX, event.clientY];
      },
    });
  }
}

export class Player {
  playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  place = this.playing ? 0 : 0.5; // 0 .. 1; a little above 1 while the last pose is held
  speed = 1;
  pace: "step" | "clock" = "step";
  view: View = { ...HOME };
  /** Seconds of the clip by which the others go in step. Without it, the middle of all lengths. */
  mainSeconds: number | null = null;
  /** Called after each drawing. */
  onDraw: () => void = () => {};
  private readonly stages = new Set<Stage>();
  private isDrawing = false;
  private lastTime: number | null = null;
  private bar: PlayerBar | null = null;

  constructor() {
    onThemeChange(() => this.ask());
    addEventListener("resize", () => this.ask());
  }

  addStage(options: StageOptions): Stage {
    const stage = new Stage(this, options);
    this.stages.add(stage);
    this.ask();
    return stage;
  }

  remove(stage: Stage): void {
    stage.close();
    this.stages.delete(stage);
  }

  clear(): void {
    for (const stage of this.stages) stage.close();
    this.stages.clear();
  }

  /** Controls for this player. With `paces`, the reader may choose in step or by the clock. */
  controls(paces: boolean): HTMLElement {
    this.bar = new PlayerBar(this, paces);
    return this.bar.element;
  }

  /** Seconds from begin to end: in step, those of the main clip; by the clock, the longest clip's. */
  length(): number {
    const all = [...this.stages].flatMap(({ clip }) => (clip ? [clip.seconds] : [])).sort((one, other) => one - other);
    if (this.pace === "step" && this.mainSeconds) return Math.max(this.mainSeconds, 0.2);
    const place = this.pace === "step" ? Math.floor((all.length - 1) / 2) : all.length - 1;
    return Math.max(all[place] ?? 1, 0.2);
  }

  shareOf(clip: Clip): number {
    const share = this.pace === "step" ? this.place : (this.place * this.length()) / Math.max(clip.seconds, 0.001);
    return Math.min(Math.max(share, 0), 1);
  }

  play(playing: boolean): void {
    this.playing = playing;
    if (playing && this.place >= 1) this.place = 0;
    this.ask();
  }

  moveTo(place: number): void {
    this.playing = false;
    this.place = Math.min(Math.max(place, 0), 1);
    this.ask();
  }

  restart(): void {
    if (this.playing) this.place = 0;
    this.ask();
  }

  turn(yaw: number, pitch: number): void {
    this.view.yaw += yaw;
    this.view.pitch = Math.min(Math.max(this.view.pitch + pitch, -0.1), 1.5);
    this.ask();
  }

  face(): void {
    this.view = { ...HOME };
    this.ask();
  }

  key(event: KeyboardEvent): boolean {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === " ") this.play(!this.playing);
    else if (direction && event.shiftKey) this.turn(0.15 * direction, 0);
    else if (direction) this.moveTo(Math.min(this.place, 1) + STEP * direction);
    else return false;
    return true;
  }

  /** Draw at the next frame of the screen. */
  ask(): void {
    if (this.isDrawing) return;
    this.isDrawing = true;
    requestAnimationFrame((time) => this.frame(time));
  }

  private frame(time: number): void {
    this.isDrawing = false;
    if (this.playing && this.lastTime !== null) {
      // After a pause of the browser's (another tab), go on where it stopped.
      this.place += (this.speed * Math.min(time - this.lastTime, 100)) / 1000 / this.length();
      if (this.place > 1 + (this.speed * END_PAUSE_S) / this.length()) this.place = 0;
    }
    const moves = this.playing && [...this.stages].some((stage) => stage.canvas.isConnected);
    this.lastTime = moves ? time : null;
    const jobs = [...this.stages].map((stage) => stage.job()).filter((job) => job !== null);
    if (jobs.length) thePainter()?.paint(jobs, this.view);
    this.bar?.show();
    this.onDraw();
    if (moves) this.ask();
  }
}

class PlayerBar {
  readonly element: HTMLElement;
  private readonly playing: HTMLButtonElement;
  private readonly slider: HTMLInputElement;
  private readonly time = element("span", { class: "time" });

  constructor(
    private readonly player: Player,
    paces: boolean,
  ) {
    this.playing = button("Play", () => player.play(!player.playing), "primary play");
    this.slider = on(
      element("input", { type: "range", min: 0, max: 1000, step: 1, value: 0, "aria-label": "Place in the motion" }),
      {
        input: () => player.moveTo(Number(this.slider.value) / 1000),
        // As everywhere on the page: the browser's own steps are too small to be seen.
        keydown: (event) => {
          if (player.key(event)) event.preventDefault();
        },
      },
    );
    const speeds: [string, string][] = [
      ["0.25", "speed ¼"],
      ["0.5", "speed ½"],
      ["1", "speed 1"],
      ["2", "speed 2"],
    ];
    const speed = select("Speed", speeds, "1", (value) => {
      player.speed = Number(value);
    });
    const pace = select(
      "How clips of different length play together",
      [
        ["step", "in step"],
        ["clock", "by the clock"],
      ],
      player.pace,
      (value) => {
        player.pace = value as Player["pace"];
        player.ask();
      },
    );
    const front = button("Front view", () => player.face());
    const keys = element("p", { class: "keys" }, "Space: play or pause · ← →: move in time · drag, Shift ← →: turn");
    this.element = element(
      "section",
      { class: "bar", "aria-label": "Playback" },
      this.playing,
      this.slider,
      this.time,
      speed,
      paces && pace,
      front,
      keys,
    );
  }

  show(): void {
    const { player } = this;
    const place = Math.min(player.place, 1);
    this.playing.textContent = player.playing ? "Pause" : "Play";
    if (document.activeElement !== this.slider || player.playing) this.slider.value = String(Math.round(1000 * place));
    const whole = player.length();
    const text = player.pace === "step" ? percent(place) : `${(place * whole).toFixed(1)} of ${seconds(whole)}`;
    if (this.time.textContent === text) return;
    this.time.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
  }
}

/** What stands on a stage that has no motion to show. */
export function stageBox(stage: Stage | null, missing: string, badge = ""): HTMLElement {
  const shown = stage && !thePainter() ? null : stage;
  const why = stage && !shown ? "This browser has no WebGL, which the drawing of skeletons needs." : missing;
  return element(
    "div",
    { class: "stage" },
    shown ? shown.canvas : element("p", { class: "missing" }, why),
    badge && element("span", { class: "badge" }, badge),
  );
}
