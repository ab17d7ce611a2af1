/** The page of one file: queries and what is nearest to them, side by side. What it shows is in the file. */

import "./theme.css";
import "./player.css";
import "./viewer.css";
import { Clip, type Layout, learnLayouts } from "./clip";
import { element, onKeys, seconds } from "./dom";
import type { Motion } from "./messages";
import { Player, stageBox } from "./player";

/** What `gfp_serve.motion_page` writes into the file. */
interface Panel {
  title: string;
  subtitle: string;
  motion: number | null; // its place among the motions
  missing: string;
  similarity: number | null;
  right: boolean | null;
  verdict: string;
  rank: number | null; // if it is not its place in the row
}

interface Row {
  heading: string;
  query: Panel | null;
  neighbours: Panel[];
}

interface Shown {
  title: string;
  note: string;
  rows: Row[];
  layouts: Record<string, Layout>;
  motions: Motion[];
}

const shown: Shown = JSON.parse(document.getElementById("data")?.textContent ?? "");
learnLayouts(shown.layouts);
const clips = shown.motions.map((motion) => Clip.ofMotion(motion));
const player = new Player();

function card(panel: Panel, rank: number): HTMLElement {
  const clip = panel.motion === null ? undefined : clips[panel.motion];
  const stage = clip
    ? player.addStage({ clip, label: `Moving skeleton: ${panel.title} ${panel.subtitle}`.trim() })
    : null;
  const box = stageBox(stage, panel.missing, rank ? String(rank) : "Query");
  if (clip) box.append(element("span", { class: "length" }, seconds(clip.seconds)));
  return element(
    "article",
    { class: rank ? "card" : "card query-card" },
    box,
    element(
      "div",
      { class: "words" },
      element("h2", {}, panel.title || "no label"),
      mark(panel),
      panel.similarity !== null && element("p", { class: "number" }, `similarity ${panel.similarity.toFixed(3)}`),
      panel.subtitle && element("p", { class: "small" }, panel.subtitle),
    ),
  );
}

function mark({ right, verdict }: Panel): HTMLElement | null {
  if (right === null) return verdict ? element("p", { class: "mark" }, verdict) : null;
  const words = verdict || (right ? "right" : "wrong");
  return element("p", { class: `mark ${right ? "good" : "bad"}` }, `${right ? "✓" : "✗"} ${words}`);
}

function section({ heading, query, neighbours }: Row): HTMLElement {
  const first = query && card(query, 0);
  const cards = neighbours.map((panel, place) => card(panel, panel.rank ?? place + 1));
  const nothing = query && !cards.length && element("p", { class: "none" }, "Nothing was found for it.");
  return element(
    "section",
    {},
    heading && element("h2", { class: "heading" }, heading),
    element(
      "div",
      { class: query ? "row" : "row alone" },
      first,
      element("div", { class: "neighbours" }, ...cards, nothing),
    ),
  );
}

function legend(): HTMLElement {
  const sides: [string, string][] = [
    ["left", "left arm and leg"],
    ["right", "right arm and leg"],
    ["trunk", "head and trunk"],
  ];
  if (clips.some(({ bodies }) => bodies > 1)) sides.push(["second", "second person, fainter"]);
  return element("ul", { class: "sides" }, ...sides.map(([side, text]) => element("li", { class: side }, text)));
}

const queries = shown.rows.flatMap(({ query }) => (query && query.motion !== null ? [clips[query.motion]] : []));
const lengths = queries.map((clip) => clip?.seconds ?? 0).sort((one, other) => one - other);
// In step, all take as long as the query of middle length.
player.mainSeconds = lengths[Math.floor(lengths.length / 2)] ?? null;

const order = "Each query is followed by what is nearest to it, nearest first.";
document.querySelector("main")?.append(
  element(
    "header",
    {},
    element("h1", {}, shown.title),
    shown.rows.some(({ query }) => query) && element("p", { class: "small" }, order),
    shown.note && element("p", { class: "small note" }, shown.note),
    legend(),
  ),
  ...shown.rows.map(section),
  element("div", { class: "bottom-bar" }, player.controls(true)),
);
onKeys((event) => player.key(event));
