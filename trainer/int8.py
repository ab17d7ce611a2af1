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

import numpy as np
import onnx
from jaxtyping import Float32

from gfp_serve.bundle import INT8_GRAPH, Bundle, CanonicalClip
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError
from gfp_serve.layouts import layout_named
from gfp_serve.preprocess import PreprocessConfig, prepare
from gfp_serve.runtime import quantize_dynamic
from trainer.data.store import ClipStore
from trainer.evaluate.candidates import check_cleaned_alike
from trainer.evaluate.embeddings import embed_store
from trainer.evaluate.folds import Fold, split_folds
from trainer.evaluate.retrieval import retrieve
from trainer.onnx_graph import time_in_turns

# What is allowed: the mean cosine to the vectors in 32 bits, after the mean of these was taken from both, and by how
# many points 1-NN may fall.
LEAST_COSINE, MOST_POINTS = 0.99, 0.5
# At most this many clips answer, and are asked.
_GALLERY_CLIPS, _QUERY_CLIPS = 1000, 500

# The first layer of an encoder costs next to nothing, and coordinates have more digits than 8 bits.
_IN_32_BITS = "embed.weight"

_WEIGHTS: dict[str, dict[str, Any]] = {
    "signed": {"signed": True, "per_channel": True, "reduce_range": True},
    "unsigned": {"signed": False, "per_channel": False, "reduce_range": False},
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How much of an embedding is left in 8 bits, and what that brings."""

    weights: str  # "signed" or "unsigned"
    centred_cosine: float
    accuracy: float  # 1-NN in percent
    accuracy_before: float
    seconds: float  # of a clip on one core
    seconds_before: float

    @property
    def is_enough(self) -> bool:
        return self.centred_cosine >= LEAST_COSINE and self.accuracy >= self.accuracy_before - MOST_POINTS

    @property
    def gain(self) -> float:
        """How many times as fast it is."""
        return self.seconds_before / self.seconds

    def to_json(self) -> dict[str, Any]:
        return {
            "weights": self.weights,
            "centred_cosine": round(self.centred_cosine, 4),
            "1nn_percent": round(self.accuracy, 2),
            "1nn_percent_in_32_bits": round(self.accuracy_before, 2),
        }

    def __str__(self) -> str:
        return (
            f"{self.weights} weights: centred cosine {self.centred_cosine:.4f}, 1-NN {self.accuracy:.1f} % "
            f"({self.accuracy_before:.1f} % in 32 bits), {self.gain:.2f} times as fast"
        )


def in_int8(
    bundle: Bundle, store: ClipStore, *, show: Callable[[int], None] = lambda _: None
) -> tuple[Bundle, Agreement]:
    """A bundle whose linear layers multiply in 8 bits, and how well it agrees with the one given.

    Clips of the test split are asked, others answer. `show` gets the number of clips of each batch that was embedded.
    Raises `BundleError` when more is lost than is allowed, or when nothing is gained; and what `split_folds` and
    `check_cleaned_alike` do.
    """
    check_cleaned_alike(store, bundle.manifest.preprocess.cleaning)
    fold = _spread(split_folds(store)[0])
    whole = Encoder(bundle, device="cpu", num_threads=1)
    before = _embedded(whole, store, fold, bundle.manifest.preprocess, show)
    accuracy_before = retrieve(before, store, [fold]).accuracy
    clip = _input(bundle, bundle.canonical[0])
    tried: list[tuple[Bundle, Agreement]] = []
    for weights in _WEIGHTS:
        smaller = _quantized(bundle, weights)
        encoder = Encoder(smaller, device="cpu", num_threads=1)
        after = _embedded(encoder, store, fold, bundle.manifest.preprocess, show)
        seconds = time_in_turns({"whole": whole.encode, "smaller": encoder.encode}, clip)
        agreement = Agreement(
            weights=weights,
            centred_cosine=centred_cosine(before[fold.test], after[fold.test]),
            accuracy=retrieve(after, store, [fold]).accuracy,
            accuracy_before=accuracy_before,
            seconds=seconds["smaller"],
            seconds_before=seconds["whole"],
        )
        tried.append((_finished(smaller, encoder, agreement), agreement))
    said = "; ".join(str(agreement) for _, agreement in tried)
    enough = [each for each in tried if each[1].is_enough]
    if not enough:
        raise BundleError(
            f"8 bits lose too much of this encoder on {len(fold.test)} clips of {store.path}: {said}. Allowed are a "
            f"centred cosine of {LEAST_COSINE} or more, and a 1-NN at most {MOST_POINTS} points lower; export it "
            f"without --int8."
        )
    best = max(enough, key=lambda each: each[1].gain)
    if best[1].gain <= 1:
        raise BundleError(f"8 bits make this encoder no faster on this machine: {said}; export it without --int8.")
    return best


def centred_cosine(before: Float32[np.ndarray, "clips size"], after: Float32[np.ndarray, "clips size"]) -> float:
    """The mean cosine of vectors and what became of them, after the mean of those before was taken from both.

    Vectors of all clips have much in common; a cosine of them as they are would be high whatever is lost.
    """
    mean = before.mean(axis=0)
    a, b = before - mean, after - mean
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)))


def _spread(fold: Fold) -> Fold:
    """A fold with `_QUERY_CLIPS` and `_GALLERY_CLIPS` at most, spread over the one given."""

    def some(clips: np.ndarray, most: int) -> np.ndarray:
        return clips[np.linspace(0, len(clips) - 1, min(len(clips), most)).astype(np.int64)]

    return Fold(test=some(fold.test, _QUERY_CLIPS), train=some(fold.train, _GALLERY_CLIPS))


def _embedded(
    encoder: Encoder, store: ClipStore, fold: Fold, preprocess: PreprocessConfig, show: Callable[[int], None]
) -> Float32[np.ndarray, "clips size"]:
    """A row for each clip of the store, of zeros for clips outside the fold."""
    used = np.union1d(fold.test, fold.train)
    vectors = np.zeros((len(store), encoder.embedding_size), dtype=np.float32)
    vectors[used] = embed_store(encoder.encode, store, preprocess.sampling, used, show=show)
    return vectors


def _input(bundle: Bundle, clip: CanonicalClip) -> Float32[np.ndarray, "bodies frames joints 3"]:
    return prepare(clip.sequence, layout_named(clip.layout), bundle.manifest.preprocess)


def _quantized(bundle: Bundle, weights: str) -> Bundle:
    """The bundle with its linear layers in 8 bits. Its canonical clips still have the vectors in 32 bits."""
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


def _finished(bundle: Bundle, encoder: Encoder, agreement: Agreement) -> Bundle:
    """The bundle with the vectors that it gives to its canonical clips, and what it lost in its manifest."""
    canonical = tuple(
        replace(clip, embedding=encoder.encode(_input(bundle, clip)[None])[0]) for clip in bundle.canonical
    )
    readout = {**bundle.manifest.readout, "int8": agreement.to_json()}
    return Bundle(replace(bundle.manifest, readout=readout), bundle.model, canonical)
