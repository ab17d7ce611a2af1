"""Bundles for GPUs: linear layers and attention in 16 bits (float16), and everything else in 32.

A GPU multiplies in 16 bits many times as fast as in 32; a CPU computes such a graph in 32 bits and rounds, which is
slower and shows what is lost. No bundle is written unless clips that were held out say that little is.

In 16 bits are the products of a block with its weights, those of attention, and what only passes their numbers on. In
32 bits stay the coordinates and the first layer, the sums of a block's input and output, norms, and everything from the
mean of the tokens on. So does softmax where it is a node of its own (`--graph standard`), and where the operator of
attention can be told (`attention`). onnxruntime's own operator (`fused`) has no such setting; its kernels decide.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import onnx

from gfp_serve.bundle import FP16_GRAPH, Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError
from gfp_serve.runtime import to_float16
from trainer.agreement import Agreement, HeldOut, with_own_vectors
from trainer.data.store import ClipStore

_PRODUCTS = ("Gemm", "MatMul")
_ATTENTION = ("Attention", "MultiHeadAttention")
# What a product of a block gets its numbers from, directly or through what passes them on.
_BEFORE_PRODUCTS = ("LayerNormalization", "Gelu", *_ATTENTION)
_PASS_ON = ("Reshape", "Split", "Squeeze", "Transpose", "Unsqueeze")
# Computed in 16 bits if their numbers come in 16 bits.
_FOLLOW = ("Gelu", "Mul", *_PASS_ON)


def in_fp16(
    bundle: Bundle, store: ClipStore, *, show: Callable[[int], None] = lambda _: None
) -> tuple[Bundle, Agreement]:
    """A bundle whose blocks compute in 16 bits, and how well it agrees with the one given.

    `show` gets the number of clips of each batch that was embedded. Raises `BundleError` when more is lost than is
    allowed, or when the encoder has no blocks; and what `HeldOut` does.
    """
    smaller = in_16_bits(bundle)
    held = HeldOut(bundle, Encoder(bundle, device="cpu"), store, show)
    encoder = Encoder(smaller, device="cpu")
    agreement = held.compare(encoder)
    if not agreement.is_enough:
        raise held.refusal(16, str(agreement), "--fp16")
    return with_own_vectors(smaller, encoder, {"fp16": agreement.to_json()}), agreement


def in_16_bits(bundle: Bundle) -> Bundle:
    """The bundle with its blocks in 16 bits. Its canonical clips still have the vectors in 32 bits.

    Raises `BundleError` when the encoder has no blocks.
    """
    model = onnx.load_from_string(bundle.model)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node {number}"
    chosen = set(_nodes_in_16_bits(model.graph))
    for node in model.graph.node:
        if node.op_type == "Attention" and node.name in chosen:
            node.attribute.append(onnx.helper.make_attribute("softmax_precision", onnx.TensorProto.FLOAT))
    if not chosen:
        raise BundleError(
            f"{bundle.manifest.name!r} has no blocks of attention and linear layers, so that 16 bits gain nothing; "
            f"export it without --fp16."
        )
    content = to_float16(model, chosen).SerializeToString()
    digest = hashlib.sha256(content).hexdigest()
    manifest = replace(bundle.manifest, graph=FP16_GRAPH, model_sha256=digest, standard_sha256="")
    return Bundle(manifest, content, bundle.canonical)


def _nodes_in_16_bits(graph: onnx.GraphProto) -> Iterator[str]:
    """The names of the nodes that are computed in 16 bits."""
    # Nodes come after those whose results they take.
    source: dict[str, str] = {}  # which kind of node a value comes from, behind what only passes it on
    halved: set[str] = set()  # values in 16 bits
    weights = {stored.name for stored in graph.initializer}
    for node in graph.node:
        if all(name in weights for name in node.input):
            weights.update(node.output)  # cast or turned
        comes_from = {source.get(name, "") for name in node.input}
        passes_on = node.op_type in _PASS_ON
        kind = next((each for each in comes_from if each), "") if passes_on else node.op_type
        source.update(dict.fromkeys(node.output, kind))
        # With its weights: the mean of chosen tokens is a product too, of what was chosen and the tokens.
        has_weights = any(name in weights for name in node.input)
        is_product = node.op_type in _PRODUCTS and has_weights and bool(comes_from & set(_BEFORE_PRODUCTS))
        follows = node.op_type in (*_PRODUCTS, *_FOLLOW) and any(name in halved for name in node.input)
        if is_product or follows or node.op_type in _ATTENTION:
            halved.update(node.output)
            yield node.name
