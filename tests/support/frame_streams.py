"""Frames to send to EmbedStream, and the messages that carry them."""

import asyncio

import grpc
import numpy as np

from gfp_serve.client.connection import CHANNEL_OPTIONS
from gfp_serve.server import Server
from gfp_serve.v1 import stream_pb2, stream_pb2_grpc
from tests.support.tiny_bundle import walk

FRAMES = np.concatenate([walk(number) for number in range(6)]).astype(np.float32)  # frames, 1 body, 25, 3
LENGTH, STRIDE = 8, 4


def opening(**changed: object) -> stream_pb2.EmbedStreamRequest:
    values: dict[str, object] = {
        "layout": "ntu25",
        "num_bodies": 1,
        "fps": 20.0,
        "window_frames": LENGTH,
        "stride_frames": STRIDE,
    }
    return stream_pb2.EmbedStreamRequest(config=stream_pb2.StreamConfig(**values | changed))


def bring(frames: np.ndarray) -> stream_pb2.EmbedStreamRequest:
    return stream_pb2.EmbedStreamRequest(
        frames=stream_pb2.Frames(positions=frames.astype("<f4").tobytes(), num_frames=len(frames))
    )


def stub_of(channel: grpc.aio.Channel) -> stream_pb2_grpc.StreamServiceStub:
    return stream_pb2_grpc.StreamServiceStub(channel)


async def replies_to(server: Server, *messages: stream_pb2.EmbedStreamRequest) -> list[stream_pb2.EmbedStreamResponse]:
    """The replies to a stream of these messages. Raises `grpc.RpcError` with the status that the server gave it.

    It is sent from a thread, because asyncio's channel hides that status if a message is on its way when it comes.
    """

    def send() -> list[stream_pb2.EmbedStreamResponse]:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}", CHANNEL_OPTIONS) as channel:
            return list(stream_pb2_grpc.StreamServiceStub(channel).EmbedStream(iter(messages), timeout=20))

    return await asyncio.to_thread(send)
