/** A motion beside a wanted one: aligned in time, with the differences of each joint. */

import type { App, View } from "./app";
import { Clip } from "./clip";
import { differenceColour } from "./colours";
import { Curve } from "./curve";
import { button, element, isAbort, notice, says } from "./dom";
import type { CompareResponse, JointDifference } from "./messages";
import { Player, stageBox } from "./player";
import { call } from "./server";
import { Slot } from "./slot";

// A joint this far from where it is wanted has the strongest colour.
const FAR_CM = 25;

export class CompareView implements View {
  readonly element: HTMLElement;
  private readonly choosing = new Player();
  private readonly player = new Player();
  private readonly motion: Slot;
  private readonly wanted: Slot;
  private readonly problem = element("div", { class: "problems" });
  private readonly result = element("section", { class: "result", hidden: true, "aria-label": "Comparison" });
  private readonly picks: HTMLElement;
  private readonly curve = new Curve("seconds of the playback", "cm", (x) =>
    this.player.moveTo(x / (this.times.at(-1) || 1)),
  );
  private reply: CompareResponse | null = null;
  private times: number[] = [];
  private asking = new AbortController();

  constructor(private readonly app: App) {
    this.motion = new Slot(app, this.choosing, "Your motion", "What was done.", () => this.compare());
    this.wanted = new Slot(app, this.choosing, "Wanted motion", "What it should look like.", () => this.compare());
    this.player.onDraw = () => this.curve.at(Math.min(this.player.place, 1) * (this.times.at(-1) ?? 0));
    this.picks = element("div", { class: "slots" }, this.motion.element, this.wanted.element);
    this.element = element(
      "section",
      { class: "compare view" },
      element(
        "header",
        {},
        element("h1", {}, "Compare"),
        element(
          "p",
          { class: "small" },
          "Two motions, aligned in time and compared joint by joint. Numbers show differences of recordings. This is not medical advice.",
        ),
      ),
      this.problem,
      this.result,
      this.picks,
    );
  }

  open(asked: URLSearchParams): void {
    const dropped = [this.motion.dropOthers(), this.wanted.dropOthers()];
    if (dropped.includes(true)) this.compare();
    const { handed } = this.app;
    if (handed) {
      this.app.handed = null;
      this.motion.takeSequence(handed.name, handed.sequence);
    }
    const [motion, wanted] = [asked.get("motion"), asked.get("wanted")];
    if (motion) this.motion.takeItem(motion);
    if (wanted) this.wanted.takeItem(wanted);
    this.player.ask();
    this.choosing.ask();
  }

  close(): void {}

  key(event: KeyboardEvent): boolean {
    return (this.result.hidden ? this.choosing : this.player).key(event);
  }

  /** A file is for the card that it is dropped on. Beside the cards of a comparison, it is the reader's own motion. */
  take(file: File, at?: EventTarget | null): void {
    const on = [this.motion, this.wanted].find((slot) => at instanceof Node && slot.element.contains(at));
    const slot = on ?? (this.result.hidden && this.motion.shown ? this.wanted : this.motion);
    this.result.hidden = true; // so that the cards, which say how the reading goes, are in view
    slot.reading.read(file);
  }

  private async compare(): Promise<void> {
    const [motion, wanted] = [this.motion.shown, this.wanted.shown];
    this.result.hidden = true;
    this.problem.replaceChildren();
    this.asking.abort();
    if (!motion || !wanted) return;
    const asking = new AbortController();
    this.asking = asking;
    this.problem.replaceChildren(notice("note", "Comparing …"));
    try {
      const request = { motion, wanted, gallery: this.app.gallery };
      this.reply = await call<CompareResponse>("ViewService/Compare", request, asking.signal);
      this.problem.replaceChildren();
      this.show(this.reply);
    } catch (error) {
      if (!isAbort(error)) this.problem.replaceChildren(notice("error", says(error)));
    }
  }

  private show(reply: CompareResponse): void {
    const { player } = this;
    player.clear();
    const [motion, wanted] = [Clip.ofMotion(reply.motion, false), Clip.ofMotion(reply.wanted, false)];
    const steps = reply.motion_frames.length;
    // The only time that the reader sees: that of the playback, whose steps are equally long and which takes as long as
    // the motion. In it, one of both may wait for the other.
    const fps = reply.motion.fps || 30;
    this.times = reply.motion_frames.map(
      (_, step) => (step * (motion.seconds || steps / fps)) / Math.max(steps - 1, 1),
    );
    player.mainSeconds = motion.seconds;
    const stepAt = (place: number) => Math.min(Math.round(place * (steps - 1)), steps - 1);
    const share = (frames: number[], clip: Clip) => (place: number) => {
      const exact = place * (steps - 1);
      const before = Math.floor(exact);
      const [from, to] = [frames[before] ?? 0, frames[Math.min(before + 1, steps - 1)] ?? 0];
      return clip.shareOf(from + (exact - before) * (to - from));
    };
    const curves = new Map(reply.joints.map((joint) => [joint.joint, joint.cm.map(Number)]));
    const stages = [
      player.addStage({
        clip: motion,
        label: "Moving skeleton: your motion, joints coloured by difference",
        share: share(reply.motion_frames, motion),
        tint: (place) => (joint) => {
          const cm = curves.get(joint)?.[stepAt(place)] ?? 0;
          return differenceColour((Number.isNaN(cm) ? 0 : cm) / FAR_CM);
        },
      }),
      player.addStage({
        clip: wanted,
        label: "Moving skeleton: the wanted motion",
        share: share(reply.wanted_frames, wanted),
      }),
    ] as const;
    const mean = this.meanCurve(reply, steps);
    const marks = reply.worst_moments.map(({ step }) => this.times[step] ?? 0);
    this.curve.show(this.times, mean, marks);
    const pair = element(
      "div",
      { class: "pair" },
      this.card(stageBox(stages[0], "", "Yours"), this.motion.name, colourKey()),
      this.card(stageBox(stages[1], "", "Wanted"), this.wanted.name, ""),
      this.table(reply.joints),
    );
    const again = button("Choose other motions", () => {
      this.picks.scrollIntoView({ block: "start" });
    });
    this.result.replaceChildren(
      this.summary(reply),
      pair,
      element(
        "section",
        { class: "card curve-card" },
        element("h3", {}, "Mean difference over time"),
        this.curve.element,
        element("h3", {}, "Moments that differ most"),
        this.moments(reply, pair),
      ),
      again,
      element("div", { class: "bottom-bar" }, player.controls(false)),
    );
    this.result.hidden = false;
    this.choosing.playing = false;
    player.restart();
  }

  private summary(reply: CompareResponse): HTMLElement {
    const worst = reply.joints[0];
    const facts: [string, string][] = [["mean difference", `${reply.mean_cm.toFixed(1)} cm`]];
    if (worst) facts.push(["most in", `${spaced(worst.name)}, ${worst.mean_cm.toFixed(1)} cm`]);
    if (reply.tempo) {
      const share = Math.round(100 * Math.abs(reply.tempo - 1));
      facts.push(["tempo", share < 3 ? "the same" : `${share} % ${reply.tempo > 1 ? "slower" : "faster"}`]);
    }
    return element(
      "dl",
      { class: "summary" },
      ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
    );
  }

  private card(stage: HTMLElement, title: string, more: HTMLElement | ""): HTMLElement {
    return element(
      "article",
      { class: "card" },
      stage,
      element("div", { class: "words" }, element("h2", {}, title), more),
    );
  }

  private table(joints: JointDifference[]): HTMLElement {
    const number = (value: number | undefined, digits: number, sign = false) => {
      if (value === undefined) return "";
      const text = value.toFixed(digits).replace(/^-(?=0*\.?0*$)/, "");
      return sign && Number(text) > 0 ? `+${text}` : text.replace("-", "−");
    };
    const rows = joints.map((joint) => {
      const line = element(
        "tr",
        {},
        element("th", { scope: "row" }, spaced(joint.name)),
        element("td", {}, number(joint.mean_cm, 1)),
        element("td", {}, number(joint.most_cm, 1)),
        element("td", {}, number(joint.mean_degrees, 0, true)),
        element("td", {}, number(joint.most_degrees, 0, true)),
      );
      line.style.setProperty("--own", differenceColour(joint.mean_cm / FAR_CM));
      return line;
    });
    const head = (text: string) => element("th", { scope: "col" }, text);
    return element(
      "div",
      { class: "card joints", tabindex: 0, role: "region", "aria-label": "Differences by joint" },
      element(
        "p",
        { class: "small signs" },
        "cm: how far the joint is from where it is wanted. °: how its angle differs; + should be straighter, − should " +
          "be more bent.",
      ),
      element(
        "table",
        {},
        element(
          "thead",
          {},
          element("tr", {}, head("joint"), head("mean cm"), head("most cm"), head("mean °"), head("most °")),
        ),
        element("tbody", {}, ...rows),
      ),
    );
  }

  private moments(reply: CompareResponse, pair: HTMLElement): HTMLElement {
    const steps = Math.max(reply.motion_frames.length - 1, 1);
    return element(
      "div",
      { class: "actions" },
      ...reply.worst_moments.map(({ step, joint, joint_cm: cm }) =>
        button(`${(this.times[step] ?? 0).toFixed(1)} s · ${spaced(joint)} ${cm.toFixed(0)} cm`, () => {
          this.player.moveTo(step / steps);
          pair.querySelector(".stage")?.scrollIntoView({ block: "nearest" });
        }),
      ),
    );
  }

  private meanCurve(reply: CompareResponse, steps: number): number[] {
    const curves = reply.joints.map((joint) => joint.cm.map(Number));
    return Array.from({ length: steps }, (_, step) => {
      const known = curves.map((curve) => curve[step] ?? Number.NaN).filter((value) => !Number.isNaN(value));
      return known.reduce((sum, value) => sum + value, 0) / Math.max(known.length, 1);
    });
  }
}

function colourKey(): HTMLElement {
  const scale = element("span", { class: "scale" });
  scale.style.background = `linear-gradient(90deg, ${[0, 0.5, 1].map(differenceColour).join(", ")})`;
  return element(
    "div",
    { class: "key" },
    scale,
    element(
      "span",
      { class: "ends small" },
      element("span", {}, "as wanted"),
      element("span", {}, `${FAR_CM} cm and more`),
    ),
  );
}

/** ElbowLeft becomes "elbow left". */
function spaced(joint: string): string {
  return joint.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
}
