/** Finds the person in pictures of a camera, beside the page's own thread. Pictures stay in this browser. */

import { PoseLandmarker } from "@mediapipe/tasks-vision";

export interface Picture {
  bitmap: ImageBitmap;
  time: number; // milliseconds, rising
}

/** `landmarks`: 33 joints of x, y, z, visibility; null when nobody is seen. `ready`: pictures may come. */
export type PoseSaid =
  | { kind: "ready" }
  | { kind: "pose"; time: number; landmarks: Float32Array | null }
  | { kind: "failed"; why: string };

interface WorkerScope {
  postMessage(message: PoseSaid): void;
  onmessage: ((event: MessageEvent<Picture>) => void) | null;
}

const scope = self as unknown as WorkerScope;

async function start(): Promise<void> {
  const files = {
    wasmLoaderPath: "/page/vision_wasm_internal.js",
    wasmBinaryPath: "/page/vision_wasm_internal.wasm",
  };
  const landmarker = await PoseLandmarker.createFromOptions(files, {
    baseOptions: { modelAssetPath: "/page/pose.task", delegate: "CPU" },
    runningMode: "VIDEO",
    numPoses: 1,
  });
  scope.onmessage = ({ data: { bitmap, time } }) => {
    try {
      const person = landmarker.detectForVideo(bitmap, time).worldLandmarks[0];
      const landmarks = person
        ? Float32Array.from(person.flatMap(({ x, y, z, visibility }) => [x, y, z, visibility ?? 1]))
        : null;
      scope.postMessage({ kind: "pose", time, landmarks });
    } catch (error) {
      scope.postMessage({ kind: "failed", why: String(error) });
    } finally {
      bitmap.close();
    }
  };
  scope.postMessage({ kind: "ready" });
}

start().catch((error) => scope.postMessage({ kind: "failed", why: String(error) }));
