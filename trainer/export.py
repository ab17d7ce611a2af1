"""Model → bundle: the graph of a clip's embedding as ONNX. Without a passed check on raw clips there is no bundle."""

import copy
import hashlib
import logging
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import torch
from torch import nn

from gfp_serve import __version__
from gfp_serve.bundle import INPUT_NAME, OUTPUT_NAME, Bundle, CanonicalClip, Manifest
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError
from gfp_serve.formats import Clip
from gfp_serve.preprocess import MODEL_LAYOUT, PreprocessConfig, prepare
from trainer.embedding import ClipEmbedding

# The largest difference between a component of torch's unit vector and onnxruntime's.
PARITY_TOLERANCE = 1e-5

OPSET = 20


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


def export_bundle(
    model: nn.Module,
    clips: Sequence[Clip],
    preprocess: PreprocessConfig,
    origin: Origin,
    readout: dict[str, Any],
    *,
    half: bool = False,
) -> tuple[Bundle, float]:
    """A bundle of a model with `features`, and the largest difference seen between torch and onnxruntime.

    The raw `clips` become its canonical clips. `half` rounds the weights to 16 bits and stores them in 16 bits, which
    halves the file; the model still computes in 32 bits. Raises `BundleError` when a component differs by more than
    `PARITY_TOLERANCE`, and for a weight that 16 bits cannot hold.
    """
    graph = ClipEmbedding(model).eval()
    if half:
        graph = _rounded_to_half(graph)
    inputs = [prepare(clip.sequence, clip.layout, preprocess) for clip in clips]
    with torch.inference_mode():
        vectors = [graph(torch.from_numpy(x[None]))[0].numpy() for x in inputs]
    onnx_model = _to_onnx(graph, preprocess.sampling.num_frames)
    if half:
        _store_in_half(onnx_model)
    content = onnx_model.SerializeToString()
    manifest = Manifest(
        **asdict(origin),
        embedding_size=len(vectors[0]),
        preprocess=preprocess,
        opset=OPSET,
        producer=f"gfp-serve {__version__}, torch {torch.__version__}, onnx {onnx.__version__}",
        model_sha256=hashlib.sha256(content).hexdigest(),
        readout=readout,
    )
    canonical = tuple(
        CanonicalClip(clip.sequence, clip.layout.name, vector) for clip, vector in zip(clips, vectors, strict=True)
    )
    bundle = Bundle(manifest, content, canonical)
    return bundle, _check_parity(bundle, inputs, vectors)


def _to_onnx(graph: nn.Module, num_frames: int) -> onnx.ModelProto:
    """The graph, weights included, with the dynamic axes `batch` and `bodies`."""
    # The exporter takes an axis for a constant if it is 1 in the example.
    example = torch.randn(2, 3, num_frames, MODEL_LAYOUT.num_joints, 3)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("bodies")}
    # The exporter warns of packages that are not used here, and of deprecations in its own code.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (example,),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_shapes=(axes,),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    model = program.model_proto  # type: ignore[union-attr]  # None only for programs saved to a file
    # The exporter notes source files with their folders in every node. A bundle must not describe the machine it was
    # made on, and equal weights must give equal files.
    for part in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model


def _rounded_to_half(graph: ClipEmbedding) -> ClipEmbedding:
    """The same model with weights that 16 bits hold exactly."""
    graph = copy.deepcopy(graph)
    with torch.no_grad():
        for name, weight in [*graph.named_parameters(), *graph.named_buffers()]:
            if weight.is_floating_point():
                weight.copy_(weight.half().float())
                if not weight.isfinite().all():
                    raise BundleError(
                        f"weights of {name} are beyond 65504, which 16 bits cannot hold; export without --half."
                    )
    return graph


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
