"""A tiny encoder whose vectors a few lines of numpy can compute, and sequences for it."""

import dataclasses
import hashlib

import numpy as np
import onnx
from jaxtyping import Float32
from onnx import TensorProto, helper, numpy_helper

from gfp_serve.bundle import INPUT_NAME, OUTPUT_NAME, Bundle, CanonicalClip, Manifest
from gfp_serve.layouts import KINECT20, NTU25, Layout
from gfp_serve.preprocess import PreprocessConfig, SampleConfig, prepare

SIZE = 8
CONFIG = PreprocessConfig(sampling=SampleConfig(num_frames=6, crop=1.0))
_WEIGHTS = np.random.default_rng(7).standard_normal((NTU25.num_joints * 3, SIZE)).astype(np.float32)


def tiny_encode(clips: Float32[np.ndarray, "batch bodies frames joints 3"]) -> Float32[np.ndarray, "batch size"]:
    """Compute what the tiny graph computes: the mean pose, projected, scaled to unit length."""
    projected = clips.mean(axis=(1, 2)).reshape(len(clips), -1) @ _WEIGHTS
    return projected / np.linalg.norm(projected, axis=1, keepdims=True)


def tiny_model() -> bytes:
    nodes = [
        helper.make_node("ReduceMean", [INPUT_NAME], ["pose"], axes=[1, 2], keepdims=0),
        helper.make_node("Flatten", ["pose"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["projected"]),
        helper.make_node("LpNormalization", ["projected"], [OUTPUT_NAME], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(
                INPUT_NAME, TensorProto.FLOAT, ["batch", "bodies", CONFIG.sampling.num_frames, 25, 3]
            )
        ],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["batch", SIZE])],
        [numpy_helper.from_array(_WEIGHTS, "weights")],
    )
    return onnx.ModelProto.SerializeToString(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    )


def tiny_bundle(model: bytes | None = None, **changed: object) -> Bundle:
    """Return a complete bundle of the tiny encoder. `changed` replaces values of its manifest."""
    model = tiny_model() if model is None else model
    manifest = Manifest(
        name="tiny",
        embedding_size=SIZE,
        objective="none",
        step=0,
        preprocess=CONFIG,
        data={},
        opset=17,
        producer="tests",
        model_sha256=hashlib.sha256(model).hexdigest(),
    )
    canonical = tuple(
        CanonicalClip(clip, layout.name, tiny_encode(prepare(clip, layout, CONFIG)[None])[0])
        for clip, layout in ((walk(1), NTU25), (walk(2, bodies=2, layout=KINECT20), KINECT20))
    )
    return Bundle(dataclasses.replace(manifest, **changed), model, canonical)  # type: ignore[arg-type]


def walk(
    seed: int, *, frames: int = 9, bodies: int = 1, layout: Layout = NTU25
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """Return somebody about a metre tall who drifts. Each seed gives another person."""
    random = np.random.default_rng(seed)
    pose = random.uniform(-0.4, 0.4, (1, bodies, layout.num_joints, 3))
    steps = random.normal(0, 0.02, (frames, bodies, layout.num_joints, 3)).cumsum(axis=0)
    return (pose + steps).astype(np.float32)


def embedding_of(
    sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout = NTU25
) -> Float32[np.ndarray, " size"]:
    """Return the vector that a server with the tiny bundle must give."""
    return tiny_encode(prepare(sequence, layout, CONFIG)[None])[0]
