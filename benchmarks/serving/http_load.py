"""Callers of the HTTP port, as `load.py` has callers of gRPC: one connection and one call in progress for each.

Forms are `json` (nested lists of numbers, also in the reply), `base64` (JSON with base64) and `connect` (messages of
protobuf by the Connect protocol). Requests are bytes that were made once, and replies are only counted.
"""

import asyncio
import base64
import gc
import json
import sys
import time
from collections import Counter
from itertools import cycle
from typing import Any

import numpy as np

from benchmarks.serving.bundles import made_up_clip
from benchmarks.serving.load import EMBED, NUM_CLIPS, embed_request, vector_of


def request_of(form: str, seed: int) -> tuple[str, str, bytes]:
    """Return the path, the content-type and the body of a request in this form."""
    clip = made_up_clip(seed)
    num_frames, num_bodies, num_joints, _ = clip.shape
    if form == "connect":
        return EMBED, "application/proto", embed_request(seed)
    sequence: dict[str, Any] = {"layout": "ntu25", "positions": [], "num_frames": num_frames, "num_bodies": num_bodies}
    sequence["num_joints"] = num_joints
    if form == "base64":
        sequence["positions"] = base64.b64encode(clip.tobytes()).decode()
    else:
        # Five digits are those that trackers write, and a tenth of a millimetre.
        sequence["positions"] = clip.astype(np.float64).round(5).tolist()
    path = EMBED if form == "base64" else f"{EMBED}?arrays=lists"
    return path, "application/json", json.dumps({"sequences": [sequence]}).encode()


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def call(self, request: bytes) -> tuple[int, bytes]:
        self._writer.write(request)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        lengths = [int(line.split(": ")[1]) for line in lines if line.startswith("content-length: ")]
        return int(lines[0].split()[1]), await self._reader.readexactly(lengths[0])


class Load:
    def __init__(self, address: str, form: str) -> None:
        self._host, _, self._port = address.rpartition(":")
        self._form = form
        self._requests = [self._message(address, *request_of(form, seed)) for seed in range(NUM_CLIPS)]
        self._connections: list[Connection] = []

    @staticmethod
    def _message(address: str, path: str, kind: str, body: bytes) -> bytes:
        head = f"POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body

    async def once(self) -> np.ndarray:
        """Return the vector of the first clip."""
        await self._connect(1)
        code, reply = await self._connections[0].call(self._requests[0])
        if code != 200:
            raise RuntimeError(reply.decode(errors="replace"))
        if self._form == "connect":
            return vector_of(EMBED, reply)
        values = json.loads(reply)["embeddings"][0]["values"]
        return np.array(values, np.float32) if self._form == "json" else np.frombuffer(base64.b64decode(values), "<f4")

    async def turn(self, seconds: float, callers: int) -> dict[str, Any]:
        await self._connect(callers)
        latencies: list[float] = []
        failures: Counter[str] = Counter()
        end = time.perf_counter() + seconds
        requests = cycle(self._requests)

        async def caller(connection: Connection) -> None:
            while (started := time.perf_counter()) < end:
                code, _ = await connection.call(next(requests))
                if code == 200:
                    latencies.append(time.perf_counter() - started)
                else:
                    failures[str(code)] += 1

        started = time.perf_counter()
        await asyncio.gather(*(caller(each) for each in self._connections[:callers]))
        spent = time.perf_counter() - started
        return {"clips_per_s": len(latencies) / spent, "latencies_s": latencies, "failures": dict(failures)}

    async def _connect(self, number: int) -> None:
        while len(self._connections) < number:
            self._connections.append(Connection(*await asyncio.open_connection(self._host, int(self._port))))


async def main(address: str, form: str) -> None:
    load = Load(address, form)
    print(json.dumps({"vector": (await load.once()).tolist()}), flush=True)
    gc.freeze()  # so that garbage collection in this process is not timed
    for line in sys.stdin:
        print(json.dumps(await load.turn(**json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
