"""Where an encoder runs: the name that options and calls take."""

from typing import Literal

Device = Literal["auto", "cpu", "cuda"]
