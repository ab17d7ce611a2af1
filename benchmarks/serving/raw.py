"""The side to compare with: onnxruntime alone, with default settings, in a separate process, on preprocessed clips.

Reads a line of JSON for each turn, {"seconds": S, "batch": B}, and answers with one: clips_per_s, latencies_s. A batch
has clips of the same number of bodies; with "mix": true, batches of one and of two take turns as `MIX` says.
"""

import json
import os
import sys
import time
from itertools import cycle
from pathlib import Path

import numpy as np

from benchmarks.serving.bundles import MIX, made_up_clip
from gfp_serve.bundle import INPUT_NAME, OUTPUT_NAME, Bundle
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import prepare

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import; gfp_serve/runtime.py says why
import onnxruntime


def main() -> None:
    bundle = Bundle.read(Path(sys.argv[1]))
    session = onnxruntime.InferenceSession(bundle.model, providers=["CPUExecutionProvider"])

    def encode(clips: np.ndarray) -> np.ndarray:
        return session.run([OUTPUT_NAME], {INPUT_NAME: clips})[0]

    clip = prepare(made_up_clip(), NTU25, bundle.manifest.preprocess)
    print(json.dumps({"vector": encode(clip[None])[0].tolist()}), flush=True)
    for line in sys.stdin:
        turn = json.loads(line)
        bodies = MIX if turn.get("mix") else (len(clip),)
        batches = cycle([np.repeat(clip[None, :number], turn["batch"], axis=0) for number in bodies])
        latencies = []
        end = time.perf_counter() + turn["seconds"]
        started = now = time.perf_counter()
        while now < end:
            encode(next(batches))
            latencies.append(time.perf_counter() - now)
            now = time.perf_counter()
        clips = len(latencies) * turn["batch"]
        print(json.dumps({"clips_per_s": clips / (now - started), "latencies_s": latencies}), flush=True)


if __name__ == "__main__":
    main()
