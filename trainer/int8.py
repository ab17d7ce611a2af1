"""Bundles that multiply in 8 bits. None is written unless clips that were held out say that little is lost.

Weights are rounded once, activations in each call (dynamic quantisation). The largest number of a call sets the steps
to which all of its numbers are rounded. So `Encoder` gives such a model one clip at a time: a vector must not depend on
the clips beside it.

Signed weights have seven bits, one less than they could: processors without the instructions of VNNI add two products
in 16 bits, which eight bits overflow, and the embedding is destroyed without a word. Unsigned weights do not have this
trap. Which of the two is quicker depends on the processor, so both are tried.
"""

import hashlib
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from gfp_serve.bundle import INT8_GRAPH, Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError
from gfp_serve.runtime import quantize_dynamic
from trainer.agreement import Agreement, HeldOut, prepared, with_own_vectors
from trainer.data.store import ClipStore
from trainer.timing import time_in_turns

# The first layer of an encoder costs next to nothing, and coordinates have more digits than 8 bits.
_IN_32_BITS = "embed.weight"

# A smaller gain is not worth another encoder, and may be the noise of the clock.
LEAST_GAIN = 1.1
_WEIGHTS: dict[str, dict[str, Any]] = {
    "signed": {"signed": True, "per_channel": True, "reduce_range": True},
    "unsigned": {"signed": False, "per_channel": False, "reduce_range": False},
}


@dataclass(frozen=True, slots=True)
class Int8:
    """What is left of an embedding in 8 bits, and what that brings."""

    weights: str  # "signed" or "unsigned"
    agreement: Agreement
    seconds: float  # of a clip on one core
    seconds_before: float

    @property
    def gain(self) -> float:
        """How many times as fast it is."""
        return self.seconds_before / self.seconds

    def to_json(self) -> dict[str, Any]:
        return {"weights": self.weights, **self.agreement.to_json(), "times_as_fast": round(self.gain, 2)}

    def __str__(self) -> str:
        return f"{self.weights} weights: {self.agreement}, {self.gain:.2f} times as fast"


def in_int8(bundle: Bundle, store: ClipStore, *, show: Callable[[int], None] = lambda _: None) -> tuple[Bundle, Int8]:
    """A bundle whose linear layers multiply in 8 bits, and how well it agrees with the one given.

    `show` gets the number of clips of each batch that was embedded. Raises `BundleError` when more is lost than is
    allowed, or when it is not `LEAST_GAIN` times as fast; and what `HeldOut` does.
    """
    whole = Encoder(bundle, device="cpu", num_threads=1)
    held = HeldOut(bundle, whole, store, show)
    clip = prepared(bundle, bundle.canonical[0])
    tried: list[tuple[Bundle, Int8]] = []
    for weights in _WEIGHTS:
        smaller = quantized(bundle, weights)
        encoder = Encoder(smaller, device="cpu", num_threads=1)
        agreement = held.compare(encoder)
        seconds = time_in_turns({"whole": whole.encode, "smaller": encoder.encode}, clip)
        found = Int8(weights, agreement, seconds["smaller"], seconds["whole"])
        tried.append((with_own_vectors(smaller, encoder, {"int8": found.to_json()}), found))
    said = "; ".join(str(found) for _, found in tried)
    enough = [each for each in tried if each[1].agreement.is_enough]
    if not enough:
        raise held.refusal(8, said, "--int8")
    best = max(enough, key=lambda each: each[1].gain)
    if best[1].gain < LEAST_GAIN:
        raise BundleError(
            f"8 bits make this encoder less than {LEAST_GAIN} times as fast on this machine: {said}; export it without "
            f"--int8."
        )
    return best


def quantized(bundle: Bundle, weights: str) -> Bundle:
    """The bundle with its linear layers in 8 bits. Its canonical clips still have the vectors in 32 bits.

    `weights` are "signed" or "unsigned". What is lost is not measured: `in_int8` does that.
    """
    with tempfile.TemporaryDirectory() as folder:
        whole, smaller = Path(folder) / "whole.onnx", Path(folder) / "smaller.onnx"
        whole.write_bytes(bundle.model)
        nodes = onnx.load_from_string(bundle.model).graph.node
        kept = [node.name for node in nodes if any(name.endswith(_IN_32_BITS) for name in node.input)]
        # It advises to prepare graphs by another tool, which ours do not need.
        logging.getLogger().addFilter(_unheard)
        try:
            quantize_dynamic(whole, smaller, keep=kept, **_WEIGHTS[weights])
        finally:
            logging.getLogger().removeFilter(_unheard)
        content = smaller.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    manifest = replace(bundle.manifest, graph=INT8_GRAPH, model_sha256=digest, standard_sha256="")
    return Bundle(manifest, content, bundle.canonical)


def _unheard(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()
