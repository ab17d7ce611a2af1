/** A camera and the joints that are seen in it, at equal steps of time. */

import type { Picture, PoseSaid } from "./pose_worker";

export const FPS = 15;
export const JOINTS = 33;
// A joint that is less sure than this counts as not seen, as in videos that the server reads.
const LEAST_VISIBILITY = 0.3;
// Hips and shoulders count always: without them there is no body.
const TRUNK = [11, 12, 23, 24];
// Between poses that are farther apart than this, nobody was seen.
const LONGEST_GAP_S = 1.2;
const CLOSED = "The camera was closed.";

interface Handlers {
  /** The joints now: 33 of x, y, z in metres, y up, to draw; null when nobody is seen. */
  pose: (joints: Float32Array | null) => void;
  /** The next frame of the stream, at `FPS`: 33 of x, y, z in metres, y down, as the model gives them. */
  frame: (joints: Float32Array) => void;
  failed: (error: unknown) => void;
}

export class Camera {
  readonly video: HTMLVideoElement;
  private stream: MediaStream | null = null;
  private worker: Worker | null = null;
  private isBusy = false;
  private isClosed = false;
  private leave: (reason: Error) => void = () => {};
  private last: { time: number; joints: Float32Array } | null = null;
  private begun = 0;
  private sent = 0; // frames since `begun`

  constructor(
    video: HTMLVideoElement,
    private readonly handlers: Handlers,
  ) {
    this.video = video;
  }

  /**
   * Ask for the camera and load the model. Raises the browser's `DOMException` when the reader says no, and `Error` when
   * the model cannot run, or the camera was closed meanwhile.
   */
  async open(): Promise<void> {
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" },
    });
    if (this.isClosed) {
      this.close();
      throw new Error(CLOSED);
    }
    this.video.srcObject = this.stream;
    await this.video.play();
    if (this.isClosed) throw new Error(CLOSED);
    const worker = new Worker("/page/pose_worker.js");
    this.worker = worker;
    await new Promise<void>((resolve, reject) => {
      this.leave = reject;
      worker.onmessage = ({ data }: MessageEvent<PoseSaid>) => {
        if (data.kind === "ready") resolve();
        else if (data.kind === "failed") reject(new Error(`The pose model cannot run in this browser (${data.why}).`));
      };
      worker.onerror = (event) => reject(new Error(`The pose model cannot be loaded (${event.message}).`));
    });
    worker.onmessage = ({ data }: MessageEvent<PoseSaid>) => this.hear(data);
    this.look();
  }

  close(): void {
    this.isClosed = true;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.worker?.terminate();
    this.leave(new Error(CLOSED)); // a worker that was ended says nothing more
    if (this.video.srcObject === this.stream) this.video.srcObject = null;
  }

  private look(): void {
    if (this.isClosed) return;
    this.video.requestVideoFrameCallback(async (now) => {
      if (this.isClosed) return;
      if (!this.isBusy && this.worker) {
        this.isBusy = true;
        try {
          const bitmap = await createImageBitmap(this.video);
          this.worker.postMessage({ bitmap, time: now } satisfies Picture, [bitmap]);
        } catch {
          this.isBusy = false;
        }
      }
      this.look();
    });
  }

  private hear(said: PoseSaid): void {
    if (this.isClosed || said.kind === "ready") return;
    this.isBusy = false;
    if (said.kind === "failed") {
      this.handlers.failed(new Error(said.why));
      return;
    }
    const joints = new Float32Array(JOINTS * 3).fill(Number.NaN);
    if (said.landmarks) {
      for (let joint = 0; joint < JOINTS; joint++) {
        const visibility = said.landmarks[4 * joint + 3] as number;
        if (visibility < LEAST_VISIBILITY && !TRUNK.includes(joint)) continue;
        joints.set(said.landmarks.subarray(4 * joint, 4 * joint + 3), 3 * joint);
      }
    }
    this.handlers.pose(said.landmarks ? upright(joints) : null);
    this.step(said.time / 1000, joints);
  }

  /** Give the frames between the last pose and this one. */
  private step(time: number, joints: Float32Array): void {
    const before = this.last;
    this.last = { time, joints };
    if (!before) {
      this.begun = time;
      this.sent = 0;
      return;
    }
    for (;;) {
      const due = this.begun + this.sent / FPS;
      if (due > time) return;
      const weight = Math.min(Math.max((due - before.time) / Math.max(time - before.time, 1e-3), 0), 1);
      const frame = new Float32Array(JOINTS * 3).fill(Number.NaN);
      if (time - before.time < LONGEST_GAP_S) {
        for (let i = 0; i < frame.length; i++) {
          frame[i] = (before.joints[i] as number) * (1 - weight) + (joints[i] as number) * weight;
        }
      }
      this.handlers.frame(frame);
      this.sent += 1;
    }
  }
}

/** The model's y points down and its z away from the camera; ours up and towards it. */
function upright(joints: Float32Array): Float32Array {
  const turned = new Float32Array(joints);
  for (let i = 0; i < turned.length; i += 3) {
    turned[i + 1] = -(joints[i + 1] as number);
    turned[i + 2] = -(joints[i + 2] as number);
  }
  return turned;
}
