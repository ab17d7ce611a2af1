/** What moves: the positions of a recording or of a kept motion, ready to be drawn. */

import { floatsOf, floatsToBase64 } from "./base64";
import type { Motion, Sequence } from "./messages";

/** What the server says of a joint layout. `sides` has L, R or T (trunk) for each bone; `head` is -1 for none. */
export interface Layout {
  bones: [number, number][];
  sides: string;
  joints: number;
  head: number;
  names: string[];
}

/** A layout as it is drawn. Joints from `joints` on are the middles of two others. */
export interface Skeleton {
  bones: [number, number][];
  sides: string;
  joints: number;
  head: number;
  middles: [number, number][];
  across: [number, number][];
}

const skeletons = new Map<string, Skeleton>();

export function learnLayouts(layouts: Record<string, Layout>): void {
  for (const [name, layout] of Object.entries(layouts)) skeletons.set(name, drawable(layout));
}

function drawable(layout: Layout): Skeleton {
  const { names } = layout;
  const at = (name: string) => names.indexOf(name);
  const pair = (part: string): [number, number] | null =>
    at(`${part}Left`) >= 0 && at(`${part}Right`) >= 0 ? [at(`${part}Left`), at(`${part}Right`)] : null;
  const across = ["Hip", "Shoulder"].map(pair).filter((found) => found !== null);
  const [ears, shoulders, hips] = [pair("Ear"), pair("Shoulder"), pair("Hip")];
  if (layout.head >= 0 || !ears || !shoulders || !hips) return { ...layout, middles: [], across };
  // Faces are drawn as a ball, and the trunk as a line from its middle to the hips.
  const isFace = (joint: number) => /^(Nose|Eye|Ear|Mouth)/.test(names[joint] ?? "");
  const kept = layout.bones.map((_, bone) => bone).filter((bone) => !layout.bones[bone]?.some(isFace));
  const [head, neck, pelvis] = [layout.joints, layout.joints + 1, layout.joints + 2];
  return {
    bones: [...kept.map((bone) => layout.bones[bone] as [number, number]), [neck, head], [pelvis, neck]],
    sides: `${kept.map((bone) => layout.sides[bone]).join("")}TT`,
    joints: layout.joints,
    head,
    middles: [ears, shoulders, hips],
    across,
  };
}

/** The joints of all bodies at one moment, and the x and z that the view looks at. */
export interface Pose {
  places: Float32Array;
  centre: [number, number];
}

export class Clip {
  readonly skeleton: Skeleton;
  readonly xyz: Float32Array;
  readonly path: [number, number][];
  floor: number;
  height: number;
  reach: number;
  private readonly at: number[]; // the share 0 .. 1 of the clip at which each frame is

  private constructor(
    readonly layout: string,
    positions: Float32Array,
    readonly frames: number,
    readonly bodies: number,
    readonly joints: number,
    readonly seconds: number,
    readonly knowsTime: boolean,
    turns: boolean,
    numbers: number[] = Array.from({ length: frames }, (_, frame) => frame), // of the frames, rising
  ) {
    const [first, last] = [numbers[0] ?? 0, numbers.at(-1) ?? 0];
    this.at = numbers.map((number) => (number - first) / Math.max(last - first, 1));
    const skeleton = skeletons.get(layout);
    this.skeleton = skeleton ?? { bones: [], sides: "", joints, head: -1, middles: [], across: [] };
    this.xyz = turns ? facing(positions, joints, this.skeleton.across) : positions;
    const perFrame = bodies * joints * 3;
    const middles = Array.from({ length: frames }, (_, frame) =>
      middle(this.xyz.subarray(frame * perFrame, (frame + 1) * perFrame)),
    );
    this.path = smooth(middles, Math.round((frames / Math.max(seconds, 0.1)) * 0.6));
    const heights: number[] = [];
    const reaches: number[] = [];
    const step = 3 * Math.max(1, Math.floor(this.xyz.length / 3 / 60_000)); // of long recordings, some joints will do
    for (let start = 0; start < this.xyz.length; start += step) {
      const x = this.xyz[start] as number;
      if (Number.isNaN(x)) continue;
      const [middleX, middleZ] = this.path[Math.floor(start / perFrame)] as [number, number];
      heights.push(this.xyz[start + 1] as number);
      reaches.push(Math.hypot(x - middleX, (this.xyz[start + 2] as number) - middleZ));
    }
    this.floor = quantile(heights, 0.01);
    this.height = Math.max(quantile(heights, 0.995) - this.floor, 0.2);
    this.reach = Math.max(quantile(reaches, 0.98), 0.2);
  }

  /** A kept motion. With `turns`, its first body is turned to face the reader. */
  static ofMotion(motion: Motion, turns = true): Clip {
    const { frame_numbers: numbers } = motion;
    const last = (numbers.at(-1) ?? motion.num_frames - 1) + 1;
    return new Clip(
      motion.layout,
      floatsOf(motion.positions),
      motion.num_frames,
      motion.num_bodies,
      motion.num_joints,
      last / (motion.fps || 30),
      motion.fps > 0,
      turns,
      numbers,
    );
  }

  static ofSequence(sequence: Sequence): Clip {
    const { num_frames, num_bodies, num_joints } = sequence;
    return new Clip(
      sequence.layout,
      inSpace(floatsOf(sequence.positions), num_frames * num_bodies * num_joints),
      num_frames,
      num_bodies,
      num_joints,
      num_frames / (sequence.fps || 30),
      sequence.fps > 0,
      true,
    );
  }

  /** A stage for somebody who is seen now, hips in the middle. */
  static ofLive(layout: string, joints: number): Clip {
    const clip = new Clip(layout, new Float32Array(joints * 3).fill(Number.NaN), 1, 1, joints, 1, false, false);
    return Object.assign(clip, { floor: -0.95, height: 1.8, reach: 0.75 });
  }

  get isSeen(): boolean {
    return this.xyz.some((value) => !Number.isNaN(value));
  }

  /** The share 0 .. 1 of the clip at which a frame is; a place between two frames is between theirs. */
  shareOf(frame: number): number {
    const before = Math.floor(frame);
    const [from, to] = [this.at[before] ?? 0, this.at[before + 1] ?? 1];
    return from + (frame - before) * (to - from);
  }

  /** All joints at a share 0 .. 1 of the clip: a smooth curve through the frames around it where all are seen. */
  poseAt(share: number): Pose {
    const last = this.frames - 1;
    const place = Math.min(Math.max(share, 0), 1);
    const before = this.frameBefore(place);
    const frames = [Math.max(before - 1, 0), before, Math.min(before + 1, last), Math.min(before + 2, last)] as const;
    const [t0, t1, t2, t3] = frames.map((frame) => this.at[frame] as number) as [number, number, number, number];
    const length = t2 - t1;
    const weight = length ? (place - t1) / length : 0;
    // A curve through b and c that goes there as a line from a to c, or from b to d, would: frames may lie unevenly.
    const [fromA, toD] = [length / (t2 - t0 || 1), length / (t3 - t1 || 1)];
    const size = this.bodies * this.joints * 3;
    const [p0, p1, p2, p3] = frames.map((frame) => frame * size) as [number, number, number, number];
    const places = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      const a = this.xyz[p0 + i] as number;
      const b = this.xyz[p1 + i] as number;
      const c = this.xyz[p2 + i] as number;
      const d = this.xyz[p3 + i] as number;
      const [begin, end] = [fromA * (c - a), toD * (d - b)];
      const bend = 3 * (c - b) - 2 * begin - end + weight * (2 * (b - c) + begin + end);
      const curve = b + weight * (begin + weight * bend);
      const line = b + weight * (c - b);
      places[i] = !Number.isNaN(curve) ? curve : !Number.isNaN(line) ? line : weight < 0.5 ? b : c;
    }
    const [from, to] = [this.path[before] as [number, number], this.path[frames[2]] as [number, number]];
    return { places, centre: [from[0] + weight * (to[0] - from[0]), from[1] + weight * (to[1] - from[1])] };
  }

  /** The last frame that is not after a share of the clip. */
  private frameBefore(share: number): number {
    let [low, high] = [0, this.frames - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.at[middle] as number) <= share) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The frames from `start` to before `end` of a sequence. */
export function partOf(sequence: Sequence, start: number, end: number): Sequence {
  const values = floatsOf(sequence.positions);
  const perFrame = values.length / sequence.num_frames;
  return {
    ...sequence,
    positions: floatsToBase64(values.slice(start * perFrame, end * perFrame)),
    num_frames: end - start,
  };
}

/** Three coordinates for each joint; joints of images get z = 0. Lost joints are NaN. */
function inSpace(values: Float32Array, joints: number): Float32Array {
  const numbers = values.length / joints;
  const made = new Float32Array(joints * 3);
  for (let joint = 0; joint < joints; joint++) {
    const x = values[joint * numbers] as number;
    const y = values[joint * numbers + 1] as number;
    const z = numbers === 3 ? (values[joint * numbers + 2] as number) : 0;
    made.set([x, y, z], joint * 3);
  }
  return withoutZeros(made);
}

/** Where a tracker lost a joint it often writes zeros. */
function withoutZeros(xyz: Float32Array): Float32Array {
  for (let start = 0; start < xyz.length; start += 3) {
    const sum =
      Math.abs(xyz[start] as number) + Math.abs(xyz[start + 1] as number) + Math.abs(xyz[start + 2] as number);
    if (sum === 0 || Number.isNaN(sum)) xyz.fill(Number.NaN, start, start + 3);
  }
  return xyz;
}

/** Turned about the vertical so that the first body that is seen at first faces +z. */
function facing(xyz: Float32Array, joints: number, across: [number, number][]): Float32Array {
  for (const [left, right] of across) {
    for (let body = 0; body < xyz.length; body += joints * 3) {
      const x = (xyz[body + 3 * left] as number) - (xyz[body + 3 * right] as number);
      const z = (xyz[body + 3 * left + 2] as number) - (xyz[body + 3 * right + 2] as number);
      const long = Math.hypot(x, z);
      if (!(long > 1e-3)) continue;
      const [cos, sin] = [x / long, z / long];
      const turned = new Float32Array(xyz);
      for (let i = 0; i < xyz.length; i += 3) {
        const [oldX, oldZ] = [xyz[i] as number, xyz[i + 2] as number];
        turned[i] = cos * oldX + sin * oldZ;
        turned[i + 2] = cos * oldZ - sin * oldX;
      }
      return turned;
    }
  }
  return xyz;
}

/** x and z of the middle of all joints that are seen in a frame, or null. */
function middle(frame: Float32Array): [number, number] | null {
  let [x, z, count] = [0, 0, 0];
  for (let start = 0; start < frame.length; start += 3) {
    if (Number.isNaN(frame[start])) continue;
    x += frame[start] as number;
    z += frame[start + 2] as number;
    count += 1;
  }
  return count ? [x / count, z / count] : null;
}

/** Means over `width` frames to each side, so that the view follows who walks and does not shake; gaps are filled. */
function smooth(middles: ([number, number] | null)[], width: number): [number, number][] {
  let last: [number, number] = middles.find((point) => point !== null) ?? [0, 0];
  const sums: [number, number][] = [[0, 0]];
  for (const point of middles) {
    last = point ?? last;
    const [x, z] = sums.at(-1) as [number, number];
    sums.push([x + last[0], z + last[1]]);
  }
  return middles.map((_, frame) => {
    const [from, to] = [Math.max(0, frame - width), Math.min(middles.length, frame + width + 1)];
    const [start, end] = [sums[from] as [number, number], sums[to] as [number, number]];
    return [(end[0] - start[0]) / (to - from), (end[1] - start[1]) / (to - from)];
  });
}

function quantile(values: number[], share: number): number {
  if (!values.length) return 0;
  return Float64Array.from(values).sort()[Math.round(share * (values.length - 1))] as number;
}
