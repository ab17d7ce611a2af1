"""Where an encoder runs: the names that options and calls take."""

from typing import Literal

Device = Literal["auto", "cpu", "cuda"]
# Of a bundle's encoder, which runs in onnxruntime.
EncoderDevice = Literal["auto", "cpu", "cuda", "tensorrt"]
