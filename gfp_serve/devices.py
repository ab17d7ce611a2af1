"""Where an encoder runs: the names that options and calls take."""

from typing import Literal

Device = Literal["auto", "cpu", "cuda"]
# Of a session of onnxruntime.
EncoderDevice = Literal["auto", "cpu", "cuda"]
