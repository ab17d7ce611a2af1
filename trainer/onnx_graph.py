"""A model as an ONNX graph, written so that onnxruntime runs it fast.

The exporter of torch writes attention as a dozen operators that store a matrix of all pairs of tokens, and a bias as an
operator of its own that goes through memory once more. Here attention is one operator, and a linear layer is one with
its bias in it. The *form* of a graph says which operator attention is; the numbers are the same but for rounding.
"""

import copy
import logging
import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.bundle import INPUT_NAME, OUTPUT_NAME
from gfp_serve.preprocess import MODEL_LAYOUT
from trainer.encoders.transformer import DotProductAttention

# "standard": operators of opset 20, which every runtime knows. "attention": `Attention` of opset 23, one operator.
# "fused": `MultiHeadAttention` of onnxruntime's own domain.
Form = Literal["standard", "attention", "fused"]
FORMS: tuple[Form, ...] = get_args(Form)
OPSETS: dict[Form, int] = {"standard": 20, "attention": 23, "fused": 20}

_CONTRIBUTED = "com.microsoft"
_FUSED = "MultiHeadAttention"

# A form must be quicker than the standard one by this factor, or the standard one is taken.
_WORTH_IT = 1.03


def to_onnx(graph: nn.Module, num_frames: int, *, quick: bool = True) -> onnx.ModelProto:
    """The graph in its fused form, weights included, with the dynamic axes `batch` and `bodies`.

    A model without attention comes in standard operators: there is nothing to fuse. Without `quick`, it is the graph
    that torch's exporter writes by itself, which has no form.
    """
    # The exporter takes an axis for a constant if it is 1 in the example.
    example = torch.randn(2, 3, num_frames, MODEL_LAYOUT.num_joints, 3)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("bodies")}
    # The exporter warns of packages that are not used here, of deprecations in its own code, and of what it leaves to
    # the runtime.
    for package in ("torch.onnx", "onnxscript"):
        logging.getLogger(package).setLevel(logging.ERROR)
    # Without gradients the exporter takes a sixth less time, for the same file.
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _quick(graph) if quick else graph,
            (example,),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_shapes=(axes,),
            opset_version=OPSETS["fused"],
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


def has_attention(model: nn.Module) -> bool:
    """Whether there is anything to be fused; otherwise all forms are the same."""
    return any(isinstance(module, DotProductAttention) for module in model.modules())


def in_form(model: onnx.ModelProto, form: Form) -> onnx.ModelProto:
    """A graph of `to_onnx` with attention in another form."""
    if form == "fused" or all(node.op_type != _FUSED for node in model.graph.node):
        return model
    written = onnx.ModelProto()
    written.CopyFrom(model)
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, onnx.TensorProto] = {}
    for node in model.graph.node:
        if node.op_type != _FUSED:
            nodes.append(node)
        elif form == "attention":
            heads, scale = _attributes(node)
            written_as = onnx.helper.make_node(
                "Attention", list(node.input), list(node.output), q_num_heads=heads, kv_num_heads=heads, scale=scale
            )
            nodes.append(written_as)
        else:
            nodes += _standard_attention(node, constants)
    del written.graph.node[:], written.opset_import[:]
    written.graph.node.extend(nodes)
    written.graph.initializer.extend(constants.values())
    written.opset_import.append(onnx.helper.make_opsetid("", OPSETS[form]))
    return written


def quickest(seconds: dict[Form, float]) -> Form:
    """The form that took least time; the standard one where nothing worth it is gained."""
    best = min(seconds, key=lambda form: seconds[form])
    return best if seconds["standard"] > _WORTH_IT * seconds[best] else "standard"


class _OneOperator(nn.Module):
    """`DotProductAttention` as a single operator of onnxruntime."""

    def forward(
        self,
        q: Float[Tensor, "rows heads tokens size"],
        k: Float[Tensor, "rows heads tokens size"],
        v: Float[Tensor, "rows heads tokens size"],
    ) -> Float[Tensor, "rows tokens width"]:
        merged = [each.transpose(1, 2).flatten(2) for each in (q, k, v)]
        attended: Tensor = torch.onnx.ops.symbolic(
            f"{_CONTRIBUTED}::{_FUSED}",
            merged,
            {"num_heads": q.shape[1], "scale": 1 / math.sqrt(q.shape[3])},
            dtype=q.dtype,
            shape=merged[0].shape,
            version=1,
        )
        return attended


class _RowByRow(nn.Linear):
    """A linear layer over the rows of one matrix, which the exporter writes as one operator with the bias in it."""

    def forward(self, x: Float[Tensor, "*rows size"]) -> Float[Tensor, "*rows out"]:
        return F.linear(x.flatten(0, -2), self.weight, self.bias).view(*x.shape[:-1], self.out_features)


_QUICK: dict[type[nn.Module], type[nn.Module]] = {DotProductAttention: _OneOperator, nn.Linear: _RowByRow}


def _quick(graph: nn.Module) -> nn.Module:
    """A copy of a model that learns no more, with the modules of `_QUICK` for those that they compute the same as."""
    graph = copy.deepcopy(graph).requires_grad_(False)
    for module in graph.modules():
        if type(module) in _QUICK:
            module.__class__ = _QUICK[type(module)]
    return graph


def _attributes(node: onnx.NodeProto) -> tuple[int, float]:
    """The number of heads, and the factor on products of queries and keys."""
    values = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    return int(values["num_heads"]), float(values["scale"])


def _standard_attention(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> Sequence[onnx.NodeProto]:
    """softmax(q kᵀ / √size) v in operators of the standard. What it needs of constants is added."""
    (heads, scale), (out,) = _attributes(node), node.output
    to_heads, to_tokens, factor = f"attention.to_{heads}_heads", "attention.to_tokens", f"attention.factor_{scale:.6g}"
    constants[to_heads] = onnx.numpy_helper.from_array(np.array([0, 0, heads, -1]), to_heads)
    constants[to_tokens] = onnx.numpy_helper.from_array(np.array([0, 0, -1]), to_tokens)
    constants[factor] = onnx.numpy_helper.from_array(np.array(scale, dtype=np.float32), factor)
    nodes: list[onnx.NodeProto] = []

    def add(operator: str, inputs: list[str], result: str, **attributes: Any) -> str:
        nodes.append(onnx.helper.make_node(operator, inputs, [result], **attributes))
        return result

    split = [add("Reshape", [each, to_heads], f"{out}.{part}") for part, each in zip("qkv", node.input, strict=True)]
    q, v = (add("Transpose", [each], f"{each}.heads", perm=(0, 2, 1, 3)) for each in (split[0], split[2]))
    k = add("Transpose", [split[1]], f"{split[1]}.heads", perm=(0, 2, 3, 1))
    products = add("MatMul", [add("Mul", [q, factor], f"{out}.scaled"), k], f"{out}.products")
    shares = add("Softmax", [products], f"{out}.shares", axis=-1)
    attended = add("Transpose", [add("MatMul", [shares, v], f"{out}.by_head")], f"{out}.by_token", perm=(0, 2, 1, 3))
    add("Reshape", [attended, to_tokens], out)
    return nodes
