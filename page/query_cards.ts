/** What stands around a query: the invitation before it, the class with its votes, and a neighbour. */

import { type App, NO_MOTION } from "./app";
import type { Clip } from "./clip";
import { button, element, percent, seconds } from "./dom";
import type { Classification, Neighbour } from "./messages";
import { type Stage, stageBox } from "./player";

/** What the reader sees before there is a query. */
export function welcome(app: App, chooser: HTMLElement, takeAny: () => void): HTMLElement {
  const videos = app.info?.reads_videos ?? false;
  const others = "Motion capture (BVH, C3D, TRC), depth sensors, pose estimators, clip files.";
  const kinds = videos
    ? `Videos of one person. ${others}`
    : `${others} This server reads no videos: install gfp-serve with the extra video.`;
  const what = videos ? "video or a recording" : "recording";
  return element(
    "div",
    { class: "welcome card" },
    element("h1", {}, "Which movement is this?"),
    element(
      "p",
      {},
      `Drop a ${what} anywhere on this page. You then see the five nearest movements of the gallery beside it.`,
    ),
    element("div", { class: "actions" }, chooser, button("Take any item of this gallery", takeAny)),
    element("p", { class: "small" }, kinds),
  );
}

export const NO_ITEM = "No item meets the condition.";

/** The class of a query, and how its neighbours voted. */
export function verdict(found: Classification): HTMLElement[] {
  const votes = found.scores.slice(0, 4).map(({ label, score }) => {
    const line = element(
      "li",
      {},
      element("span", { class: "name" }, label),
      element("span", { class: "number" }, percent(score)),
    );
    line.style.setProperty("--share", `${100 * score}%`);
    return line;
  });
  const nobody = element("p", { class: "small" }, "None of the nearest items has a label.");
  return [
    element("p", { class: "class" }, found.unknown ? "unknown" : found.label),
    votes.length ? element("ul", { class: "votes", "aria-label": "Votes of the nearest items" }, ...votes) : nobody,
  ];
}

interface Shown {
  rank: number;
  stage: Stage | null;
  clip: Clip | null;
  compare: () => void;
}

export const similarityText = (similarity: number): string => `similarity ${similarity.toFixed(3)}`;

export function neighbourCard(app: App, neighbour: Neighbour, { rank, stage, clip, compare }: Shown): HTMLElement {
  const { id, label, similarity } = neighbour;
  const box = stageBox(stage, NO_MOTION, String(rank));
  if (clip?.knowsTime) box.append(element("span", { class: "length" }, seconds(clip.seconds)));
  return element(
    "article",
    { class: "card" },
    box,
    element(
      "div",
      { class: "words" },
      element("h2", {}, label || "no label"),
      element("p", { class: "number" }, similarityText(similarity)),
      element(
        "p",
        { class: "small" },
        element("a", { href: app.address("gallery", { item: id }), "data-key": id }, id),
      ),
      clip &&
        button("Compare", compare, "quiet small-button", {
          "aria-label": `Compare with ${id}`,
          "data-key": `compare ${id}`,
        }),
    ),
  );
}
