/** Whether the camera sees somebody, and whether it does so often enough. */

import { FPS } from "./camera";

// A movement that comes and goes twice a second is not seen in fewer poses a second.
const LEAST_POSES_PER_S = 4;

export class Seen {
  private frames: boolean[] = []; // whether somebody is in each frame of the stream
  private poses: { time: number; isSeen: boolean }[] = []; // what was found in the last pictures, with seconds

  /** `window` is the length of the stream's windows in seconds. */
  constructor(private readonly window: number) {}

  /** A stream begins. */
  clear(): void {
    this.frames = [];
    this.poses = [];
  }

  /** A picture was looked at. */
  addPose(isSeen: boolean): void {
    const time = performance.now() / 1000;
    this.poses.push({ time, isSeen });
    // Those of the window that is answered next, and of one before it: its answer takes a while.
    const fresh = this.poses.filter((pose) => pose.time > time - 2 * this.window);
    this.poses = fresh.length < 2 ? this.poses.slice(-2) : fresh;
  }

  /** The next frame of the stream; joints that are not seen are NaN. */
  addFrame(joints: Float32Array): void {
    this.frames.push(joints.some((value) => !Number.isNaN(value)));
  }

  /** What to say of a window without anybody, which ends at these seconds of the stream; null where somebody is in it. */
  whyNothing(end: number): string | null {
    const last = Math.round(end * FPS);
    if (this.frames.slice(Math.max(last - this.window * FPS, 0), last).includes(true)) return null;
    if (this.slowness() && this.poses.some(({ isSeen }) => isSeen)) return ""; // they are too far apart
    return "Nobody is in the picture. Step back until your whole body is seen.";
  }

  /** What to say where the browser finds too few poses; empty where it finds enough. */
  slowness(): string {
    const [first, last] = [this.poses[0]?.time ?? 0, this.poses.at(-1)?.time ?? 0];
    const perSecond = (this.poses.length - 1) / (last - first);
    if (last - first < this.window || perSecond >= LEAST_POSES_PER_S) return "";
    return (
      `This browser finds only ${perSecond.toFixed(1)} poses a second, too few for quick movements. ` +
      "Close other programs, or use a faster computer."
    );
  }
}
