/** What happens when in a long recording: windows of it are classified, and equal neighbours become one segment. */

import type { App } from "./app";
import { partOf } from "./clip";
import { classColour, theme } from "./colours";
import type { Classification, ClassifyResponse, Filter, Sequence } from "./messages";
import { call, isAbout } from "./server";
import type { Segment } from "./timeline";

const MOST_WINDOWS = 240;
const MOST_IN_BATCH = 16;

export interface WindowAsk {
  seconds: number;
  unknownBelow: number | null;
  filter: Filter | null;
}

/** Classify windows of a recording in batches; `tell` gets all segments that are known so far. Raises `CallError`. */
export async function classifyWindows(
  app: App,
  recording: Sequence,
  ask: WindowAsk,
  signal: AbortSignal,
  tell: (segments: Segment[], share: number) => void,
): Promise<void> {
  const fps = recording.fps || 30;
  const frames = Math.min(Math.max(Math.round(ask.seconds * fps), 2), recording.num_frames);
  const stride = Math.max(1, Math.round(frames / 4), Math.ceil((recording.num_frames - frames) / (MOST_WINDOWS - 1)));
  const starts: number[] = [];
  for (let start = 0; start + frames <= recording.num_frames; start += stride) starts.push(start);
  const found: (Classification | null)[] = [];
  const size = batchSize(app, (recording.positions.length * frames) / recording.num_frames);
  for (let first = 0; first < starts.length; first += size) {
    const batch = starts.slice(first, first + size);
    found.push(
      ...(await classified(
        app,
        batch.map((start) => partOf(recording, start, start + frames)),
        ask,
        signal,
      )),
    );
    tell(merged(starts, found, frames, stride, fps), found.length / starts.length);
  }
}

/** How many windows of `letters` letters of positions go into one call. */
function batchSize(app: App, letters: number): number {
  const limits = app.info?.limits;
  if (!limits) return MOST_IN_BATCH;
  const fit = Math.floor((0.9 * Number(limits.max_message_bytes)) / (letters + 500)); // 500: the fields beside them
  return Math.max(1, Math.min(MOST_IN_BATCH, limits.max_sequences, fit));
}

/** The class of each window; null where it cannot be used, as nobody is seen. Raises `CallError`. */
async function classified(
  app: App,
  windows: Sequence[],
  ask: WindowAsk,
  signal: AbortSignal,
): Promise<(Classification | null)[]> {
  const request = (sequences: Sequence[]) => ({
    queries: sequences.map((sequence) => ({ sequence })),
    gallery: app.gallery,
    ...(ask.unknownBelow === null ? {} : { unknown_below: ask.unknownBelow }),
    ...(ask.filter ? { filter: ask.filter } : {}),
  });
  try {
    return (await call<ClassifyResponse>("GalleryService/Classify", request(windows), signal)).results;
  } catch (error) {
    if (!isAbout(error, "queries")) throw error;
    if (windows.length === 1) return [null];
    // One window that cannot be used refuses them all.
    const halves = [windows.slice(0, windows.length / 2), windows.slice(windows.length / 2)];
    const results: (Classification | null)[] = [];
    for (const half of halves) results.push(...(await classified(app, half, ask, signal)));
    return results;
  }
}

function merged(
  starts: number[],
  found: (Classification | null)[],
  frames: number,
  stride: number,
  fps: number,
): Segment[] {
  const names = [...new Set(found.flatMap((each) => (each?.label ? [each.label] : [])))].sort();
  const segments: Segment[] = [];
  found.forEach((each, place) => {
    // A window speaks for the frames around its middle.
    const middle = (starts[place] as number) + frames / 2;
    const start = place ? middle - stride / 2 : 0;
    const end = place === starts.length - 1 ? (starts[place] as number) + frames : middle + stride / 2;
    const text = each === null ? "nobody" : each.unknown ? "unknown" : each.label;
    const last = segments.at(-1);
    const similarity = each?.neighbours[0]?.similarity ?? null;
    if (last && last.text === text) {
      last.end = end / fps;
      if (similarity !== null) last.similarity = Math.max(last.similarity ?? similarity, similarity);
    } else {
      const colour = each?.label && !each.unknown ? classColour(names.indexOf(each.label), names.length) : theme().line;
      segments.push({ start: start / fps, end: end / fps, text, colour, similarity });
    }
  });
  return segments;
}
