"""Model → bundle: the graph of a clip's embedding as ONNX. Without a passed check on raw clips there is no bundle."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import torch
from torch import nn

from gfp_serve import __version__
from gfp_serve.bundle import Bundle, CanonicalClip, Manifest
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError
from gfp_serve.formats import Clip
from gfp_serve.preprocess import PreprocessConfig, prepare
from trainer.embedding import ClipEmbedding, of_absent_body
from trainer.onnx_graph import FORMS, OPSETS, Form, has_attention, in_form, quickest, to_onnx
from trainer.timing import time_in_turns

# The largest difference between a component of torch's unit vector and onnxruntime's.
PARITY_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a model comes from: fields of the manifest with the same names."""

    name: str
    objective: str
    step: int
    data: dict[str, Any]
    training: dict[str, Any] | None
    dimensions: list[int] = field(default_factory=lambda: [2, 3])
    sees_travel: bool = True


class Exported(NamedTuple):
    """What an export made."""

    bundle: Bundle
    difference: float  # the largest between torch's components and onnxruntime's
    seconds: dict[Form, float]  # for a clip, by the form of the graph; empty if there was nothing to choose


def export_bundle(
    model: nn.Module,
    clips: Sequence[Clip],
    preprocess: PreprocessConfig,
    origin: Origin,
    readout: dict[str, Any],
    *,
    half: bool = False,
    form: Form | None = None,
) -> Exported:
    """A bundle of a model with `features`.

    The raw `clips` become its canonical clips. The graph has the form that is named, or else the quickest on the first
    of them. `half` rounds the weights to 16 bits and stores them in 16 bits, which halves the file; the model still
    computes in 32 bits. Raises `BundleError` when a component differs by more than `PARITY_TOLERANCE`, and for a weight
    that 16 bits cannot hold.
    """
    if half:
        model = _rounded_to_half(model)
    graph = ClipEmbedding(model).eval()
    if preprocess.sampling.keep_absent_bodies:
        # Bodies do not see each other: an absent one always adds the same, which is computed here once and for all.
        graph = ClipEmbedding(model, absent=of_absent_body(model, preprocess.sampling.num_frames)).eval()
        preprocess = replace(preprocess, sampling=replace(preprocess.sampling, keep_absent_bodies=False))
    inputs = [prepare(clip.sequence, clip.layout, preprocess) for clip in clips]
    with torch.inference_mode():
        vectors = [graph(torch.from_numpy(x[None]))[0].numpy() for x in inputs]
    fused = to_onnx(graph, preprocess.sampling.num_frames)
    if half:
        _store_in_half(fused)
    facts = {
        **asdict(origin),
        "embedding_size": len(vectors[0]),
        "preprocess": preprocess,
        "producer": f"gfp-serve {__version__}, torch {torch.__version__}, onnx {onnx.__version__}",
        "readout": readout,
    }
    canonical = tuple(
        CanonicalClip(clip.sequence, clip.layout.name, vector) for clip, vector in zip(clips, vectors, strict=True)
    )
    wanted: tuple[Form, ...] = ("standard",) if not has_attention(model) else FORMS if form is None else (form,)
    bundles = {each: _bundle(facts, fused, each, canonical) for each in wanted}
    seconds: dict[Form, float] = {}
    if len(bundles) > 1:
        encoders = {each: Encoder(bundle, device="cpu", num_threads=1) for each, bundle in bundles.items()}
        seconds = time_in_turns({each: encoder.encode for each, encoder in encoders.items()}, inputs[0])
        form = quickest(seconds)
    bundle = bundles[wanted[0] if form is None or form not in bundles else form]
    return Exported(bundle, _check_parity(bundle, inputs, vectors), seconds)


def _bundle(facts: dict[str, Any], fused: onnx.ModelProto, form: Form, canonical: tuple[CanonicalClip, ...]) -> Bundle:
    """The bundle of a graph in this form. `facts` are the fields of its manifest that are the same in all forms."""
    standard = in_form(fused, "standard").SerializeToString()
    content = standard if form == "standard" else in_form(fused, form).SerializeToString()
    manifest = Manifest(
        **facts,
        opset=OPSETS[form],
        model_sha256=hashlib.sha256(content).hexdigest(),
        graph=form,
        standard_sha256="" if form == "standard" else hashlib.sha256(standard).hexdigest(),
    )
    return Bundle(manifest, content, canonical)


def _rounded_to_half(model: nn.Module) -> nn.Module:
    """The same model with weights that 16 bits hold exactly."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for name, weight in [*model.named_parameters(), *model.named_buffers()]:
            if weight.is_floating_point():
                weight.copy_(weight.half().float())
                if not weight.isfinite().all():
                    raise BundleError(
                        f"weights of {name} are beyond 65504, which 16 bits cannot hold; export without --half."
                    )
    return model


def _store_in_half(model: onnx.ModelProto) -> None:
    """Store each weight that 16 bits hold exactly in 16 bits, with a cast that runtimes compute when they load."""
    casts = []
    for stored in model.graph.initializer:
        if stored.data_type != onnx.TensorProto.FLOAT:
            continue
        weight = onnx.numpy_helper.to_array(stored)
        with np.errstate(over="ignore"):
            halved = weight.astype(np.float16)
        # What the exporter computed from weights rarely fits in 16 bits; it stays as it is.
        if weight.size > 1 and np.array_equal(halved, weight):
            name = stored.name
            stored.CopyFrom(onnx.numpy_helper.from_array(halved, f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [stored.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _check_parity(bundle: Bundle, inputs: list[np.ndarray], vectors: list[np.ndarray]) -> float:
    """The largest difference between onnxruntime and torch, clip by clip and in batches of clips of one shape."""
    encoder = Encoder(bundle, device="cpu")
    differences = []
    for bodies in {len(clip) for clip in inputs}:
        same = [place for place, clip in enumerate(inputs) if len(clip) == bodies]
        batched = encoder.encode(np.stack([inputs[place] for place in same]))
        for place, from_batch in zip(same, batched, strict=True):
            for vector in (from_batch, encoder.encode(inputs[place][None])[0]):
                differences.append(np.abs(vector - vectors[place]).max())  # noqa: PERF401 (clearer than a nested list)
    worst = float(np.max(differences))  # NaN if one is NaN; Python's max would drop it
    if not worst <= PARITY_TOLERANCE:
        raise BundleError(
            f"onnxruntime's vectors differ from torch's by {worst:.2g}; at most {PARITY_TOLERANCE:g} is allowed, so no "
            f"bundle is written. Use the package versions of constraints.txt, and check that all weights are finite."
        )
    return worst


def choose_canonical(clips: Sequence[Clip], count: int = 4) -> list[Clip]:
    """A few clips of all lengths, the shortest among them, and one with two bodies if there is one.

    Raises `BundleError` when there is no clip.
    """
    if not clips:
        raise BundleError("a bundle needs at least one raw clip for its own check; name a recording for --clips.")
    by_length = sorted(range(len(clips)), key=lambda i: len(clips[i].sequence))
    chosen = {
        by_length[place] for place in np.linspace(0, len(clips) * 3 // 4, count).astype(int) if place < len(clips)
    }
    pairs = [i for i, clip in enumerate(clips) if clip.sequence.shape[1] > 1]
    return [clips[i] for i in sorted(chosen | set(pairs[:1]))]
