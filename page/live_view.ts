/** The camera: what somebody does now, the nearest motion, and how often it was done. */

import { type App, clipOf, NO_MOTION, type View } from "./app";
import { floatsToBase64 } from "./base64";
import { Camera, FPS, JOINTS } from "./camera";
import { Clip } from "./clip";
import { classColour } from "./colours";
import { button, element, notice, renew, says, sentence, shown } from "./dom";
import type { EmbedStreamResponse, Item } from "./messages";
import { Player, type Stage, stageBox } from "./player";
import { threshold } from "./search_settings";
import { Seen } from "./seen";
import { LiveStream } from "./server";

const WINDOW_S = 2;
const STRIDE_S = 0.5;
const HISTORY = 40; // windows

export class LiveView implements View {
  readonly element: HTMLElement;
  private readonly player = new Player();
  private readonly live: Stage;
  private readonly nearest: Stage;
  private readonly nearestBox: HTMLElement;
  private readonly nearestWords = element("div", { class: "words" });
  private readonly video = element("video", { playsinline: true, "aria-label": "The camera" });
  private readonly now = element("p", { class: "class" }, "…");
  private readonly similarity = element("p", { class: "small number" });
  private readonly slow = element("p", { class: "small", role: "status" });
  private readonly history = element("ol", { class: "history", "aria-label": "The last classes" });
  private readonly problem = element("div", { class: "problems" });
  private readonly notes = element("div", { class: "notices" });
  private readonly switch_: HTMLButtonElement;
  private readonly counted = element("section", { class: "card count-card", "aria-label": "Repetitions" });
  private readonly number = element("p", { class: "repetitions", role: "status" }, "0");
  private readonly stages: HTMLElement;
  private readonly wantedPlayer = new Player(); // in its own time
  private unknownBelow: number | null = null;
  private readonly seen = new Seen(WINDOW_S);
  private camera: Camera | null = null;
  private stream: LiveStream | null = null;
  private waiting: Float32Array[] = [];
  private isSending = false;
  private countId = "";
  private gallery: string;
  private shownFor = ""; // the gallery, and what is counted
  private shownItem = "";
  private seenLabels: string[] = [];

  constructor(private readonly app: App) {
    this.gallery = app.gallery;
    this.player.playing = true;
    this.live = this.player.addStage({ label: "Your skeleton, live" });
    this.live.clip = Clip.ofLive("mediapipe33", JOINTS);
    this.live.pose = { places: new Float32Array(JOINTS * 3).fill(Number.NaN), centre: [0, 0] };
    this.nearest = this.player.addStage({ label: "Moving skeleton: the nearest item" });
    this.nearestBox = element("div", {}, stageBox(this.nearest, "", "Nearest"));
    this.switch_ = button("Start the camera", () => (this.camera ? this.stop() : this.start()), "primary");
    this.stages = element(
      "div",
      { class: "live-row", hidden: true },
      element("article", { class: "card query-card" }, stageBox(this.live, "", "You"), this.video),
      element("article", { class: "card" }, this.nearestBox, this.nearestWords),
      element(
        "article",
        { class: "card now-card" },
        element("h2", {}, "Now"),
        this.now,
        this.similarity,
        this.slow,
        threshold((value) => {
          this.unknownBelow = value;
        }),
        element("h3", {}, "Before"),
        this.history,
      ),
    );
    this.element = element(
      "section",
      { class: "live view" },
      element(
        "header",
        { class: "query-head" },
        element(
          "div",
          {},
          element("h1", {}, "Live"),
          element(
            "p",
            { class: "small" },
            "Your browser finds the joints of one person in the camera. The video stays in this browser; only the joints go to this server.",
          ),
        ),
        this.switch_,
      ),
      this.problem,
      this.stages,
      this.counted,
      this.notes,
    );
  }

  async open(asked: URLSearchParams): Promise<void> {
    this.player.ask();
    this.wantedPlayer.ask();
    const id = asked.get("count") ?? "";
    const key = this.keyOf(id);
    if (key === this.shownFor) return;
    this.shownFor = key;
    this.countId = id;
    if (this.gallery !== this.app.gallery) this.forget();
    if (this.stream) this.openStream();
    await this.showCounted();
  }

  close(): void {
    this.stop();
  }

  key(event: KeyboardEvent): boolean {
    return event.shiftKey && this.player.key(event);
  }

  /** Forget what another gallery said. */
  private forget(): void {
    this.gallery = this.app.gallery;
    this.now.textContent = "…";
    this.similarity.textContent = "";
    this.history.replaceChildren();
    this.seenLabels = [];
    this.shownItem = "";
    this.nearest.clip = undefined;
    this.nearestBox.replaceChildren(stageBox(this.nearest, "", "Nearest"));
    this.nearestWords.replaceChildren();
  }

  private async showCounted(): Promise<void> {
    const { app, countId, shownFor } = this;
    this.wantedPlayer.clear();
    const open = element("a", { href: app.address("gallery") }, "the gallery");
    if (!countId) {
      const how = element(
        "p",
        { class: "small" },
        "Open an item in ",
        open,
        " that shows one repetition, and press “Count live” there.",
      );
      renew(this.counted, [element("h2", {}, "Count repetitions"), how], open);
      return;
    }
    let item: Item;
    try {
      item = await app.item(countId);
    } catch (error) {
      if (this.shownFor === shownFor) this.counted.replaceChildren(notice("error", says(error)));
      return;
    }
    if (this.shownFor !== shownFor) return;
    this.number.textContent = "0";
    const clip = clipOf(item);
    const label = `Moving skeleton: the wanted movement ${item.label || item.id}`;
    const stage = clip && this.wantedPlayer.addStage({ clip, label });
    this.counted.replaceChildren(
      stageBox(stage, NO_MOTION),
      this.number,
      element(
        "div",
        {},
        element("h2", {}, `repetitions of ${item.label || item.id}`),
        element(
          "p",
          { class: "small" },
          `${item.id}. Each time that your movement comes near to it and leaves it again counts one.`,
        ),
        button("Stop counting", () => app.go("live")),
      ),
    );
    this.wantedPlayer.restart();
  }

  private async start(): Promise<void> {
    this.problem.replaceChildren(notice("note", "Loading the pose model (20 MB, from this server) …"));
    this.switch_.disabled = true;
    const camera = new Camera(this.video, {
      pose: (joints) => {
        this.seen.addPose(joints !== null);
        if (joints && this.live.pose) this.live.pose = { places: joints, centre: [0, 0] };
      },
      frame: (joints) => this.takeFrame(joints),
      failed: (error) => this.fail(error),
    });
    this.camera = camera;
    try {
      await camera.open();
      if (this.camera !== camera) return;
      this.problem.replaceChildren();
      this.switch_.disabled = false;
      this.stages.hidden = false;
      this.switch_.textContent = "Stop the camera";
      this.openStream();
      this.player.play(true);
    } catch (error) {
      if (this.camera === camera) this.fail(why(error));
    }
  }

  private stop(): void {
    this.camera?.close();
    this.camera = null;
    this.stream?.close();
    this.stream = null;
    this.stages.hidden = true;
    this.problem.replaceChildren();
    this.switch_.disabled = false;
    this.switch_.textContent = "Start the camera";
  }

  private fail(error: unknown): void {
    this.stop();
    this.problem.replaceChildren(notice("error", says(error)));
  }

  private openStream(): void {
    this.stream?.close();
    this.waiting = [];
    this.seen.clear();
    const { gallery } = this.app;
    const config = {
      layout: "mediapipe33",
      num_bodies: 1,
      fps: FPS,
      window_frames: Math.round(WINDOW_S * FPS),
      stride_frames: Math.round(STRIDE_S * FPS),
      conventions: { up: "-y" },
      search: { top_k: 1, gallery },
      classify: { gallery },
      ...(this.countId ? { count: this.countId } : {}),
    };
    const stream = new LiveStream(config, (name, said) => {
      if (name === "window" && this.stream === stream) this.showWindow(said as EmbedStreamResponse);
    });
    this.stream = stream;
    stream.done.then(
      () => this.stream === stream && this.camera && this.fail(new Error("The server ended the stream.")),
      (error) => this.stream === stream && this.fail(error),
    );
  }

  private takeFrame(joints: Float32Array): void {
    this.waiting.push(joints);
    if (this.waiting.length > 20 * FPS) this.waiting.shift(); // a server that is slow for so long loses the oldest
    this.send();
  }

  /** Send what waits, and then what came meanwhile: never more than the server takes. */
  private async send(): Promise<void> {
    const { stream } = this;
    if (this.isSending || !stream) return;
    this.isSending = true;
    try {
      await stream.opened;
      while (this.waiting.length && this.stream === stream) {
        const frames = this.waiting.splice(0);
        const joined = new Float32Array(frames.length * JOINTS * 3);
        frames.forEach((frame, place) => {
          joined.set(frame, place * JOINTS * 3);
          this.seen.addFrame(frame);
        });
        await stream.send(floatsToBase64(joined), frames.length);
      }
    } catch (error) {
      if (this.stream === stream) this.fail(error);
    } finally {
      this.isSending = false;
    }
  }

  private showWindow(said: EmbedStreamResponse): void {
    for (const { text } of said.warnings) this.notes.append(notice("warning", text));
    if (said.num_repetitions !== undefined) this.number.textContent = String(said.num_repetitions);
    this.slow.textContent = this.seen.slowness();
    const neighbour = said.neighbours[0];
    if (said.problem) {
      this.now.textContent = "—";
      this.similarity.textContent = sentence(this.seen.whyNothing(said.end_s) ?? said.problem);
    } else {
      const { classification } = said;
      // Whether one is near enough is decided here: the stream, and its count, would begin anew with another threshold.
      const best = (classification?.neighbours[0] ?? neighbour)?.similarity ?? Number.NEGATIVE_INFINITY;
      const isKnown = classification && !classification.unknown && best >= (this.unknownBelow ?? best);
      const label = isKnown ? classification.label : "unknown";
      this.now.textContent = shown(label);
      this.similarity.textContent = neighbour ? `similarity ${neighbour.similarity.toFixed(3)}` : "";
      this.addToHistory(label);
    }
    if (neighbour && this.keyOf(neighbour.id) !== this.shownItem) this.showNearest(neighbour.id);
  }

  private addToHistory(label: string): void {
    const last = this.history.firstElementChild as HTMLElement | null;
    if (!label) return;
    if (last?.dataset.label === label) {
      last.dataset.count = String(Number(last.dataset.count) + 1);
      (last.lastElementChild as HTMLElement).textContent = `${(Number(last.dataset.count) * STRIDE_S).toFixed(1)} s`;
      return;
    }
    if (!this.seenLabels.includes(label)) this.seenLabels.push(label);
    const entry = element(
      "li",
      {},
      element("span", { class: "swatch" }),
      element("span", { class: "name" }, label),
      element("span", { class: "number" }, `${STRIDE_S.toFixed(1)} s`),
    );
    entry.dataset.label = label;
    entry.dataset.count = "1";
    entry.style.setProperty("--own", classColour(this.seenLabels.indexOf(label) % 10, 10));
    this.history.prepend(entry);
    while (this.history.childElementCount > HISTORY) this.history.lastElementChild?.remove();
  }

  private keyOf(id: string): string {
    return `${this.app.gallery}\n${id}`;
  }

  private async showNearest(id: string): Promise<void> {
    const key = this.keyOf(id);
    this.shownItem = key;
    const item = await this.app.item(id).catch(() => null);
    if (!item || this.shownItem !== key) return;
    const clip = clipOf(item);
    this.nearest.clip = clip ?? undefined;
    this.player.mainSeconds = clip?.seconds ?? null;
    this.player.place = 0;
    this.nearest.describe(`Moving skeleton: ${item.label || item.id}`);
    this.nearestBox.replaceChildren(stageBox(clip ? this.nearest : null, NO_MOTION, "Nearest"));
    const link = element("a", { href: this.app.address("gallery", { item: id }) }, id);
    renew(
      this.nearestWords,
      [element("h2", {}, item.label || "no label"), element("p", { class: "small" }, link)],
      link,
    );
  }
}

/** What the browser says when there is no camera, in words that help. */
function why(error: unknown): Error {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") {
    return new Error("The browser did not allow the camera. Allow it for this page, and start the camera again.");
  }
  if (name === "NotFoundError") return new Error("There is no camera. Connect one, and start the camera again.");
  if (!window.isSecureContext) {
    return new Error(
      "Browsers give a camera only to pages of this machine or over HTTPS. Start gfp-serve with a certificate.",
    );
  }
  return error instanceof Error ? error : new Error(String(error));
}
