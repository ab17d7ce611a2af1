"""What further fused operators would bring our graph of the encoder, and why it does not have them.

    python benchmarks/fusions.py                     all graphs in turns, one body, on one core

Our graph has attention as one operator, and each linear layer with its bias in it. onnxruntime has operators for more:
`BiasGelu` adds a bias in the pass that computes GELU, `SkipLayerNormalization` adds what goes around a layer in the
pass of the norm behind it. And queries, keys and values can be three products instead of one that is split. All of
these graphs give the same vectors. The encoder is the published one (8 blocks of width 256, 750 tokens).
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import click
import numpy as np
import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.serving.bundles import made_up_clip
from gfp_serve.bundle import INPUT_NAME
from gfp_serve.files import write_whole
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import PreprocessConfig, prepare
from gfp_serve.runtime import onnxruntime
from trainer.config import TrainConfig
from trainer.embedding import ClipEmbedding
from trainer.evaluate.candidates import untrained
from trainer.onnx_graph import to_onnx

REPORT = Path("benchmarks/encode_fusions.json")
OURS = "ours"
_CONTRIBUTED = "com.microsoft"


@click.command(help=__doc__)
@click.option("--rounds", default=40, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def main(rounds: int, out: Path) -> None:
    torch.manual_seed(0)
    config = TrainConfig()
    model = untrained(config).eval()
    for module in model.modules():
        if isinstance(module, nn.Linear):  # the exporter leaves out biases that are zero
            nn.init.normal_(module.bias, std=0.1)
    ours = to_onnx(ClipEmbedding(model).eval(), config.num_frames)
    graphs = {OURS: ours, **{name: _changed(ours, change) for name, change in CHANGES.items()}}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {
        name: onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for name, graph in graphs.items()
    }
    clip = prepare(made_up_clip()[:, :1], NTU25, PreprocessConfig())[None]
    expected = sessions[OURS].run(None, {INPUT_NAME: clip})[0]
    differences = {
        name: float(np.abs(session.run(None, {INPUT_NAME: clip})[0] - expected).max())
        for name, session in sessions.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in sessions}
    names = list(sessions)
    for turn in range(rounds * len(names)):
        # Each round begins with another one, because the first one after another round has warmer caches.
        name = names[(turn + turn // len(names)) % len(names)]
        began = time.perf_counter()
        sessions[name].run(None, {INPUT_NAME: clip})
        seconds[name].append(time.perf_counter() - began)
    report = {
        "rounds": rounds,
        "packages": {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__},
        "graphs": {
            name: {
                "ms_a_body": 1000 * median(each),
                "times_ours": median(seconds[OURS]) / median(each),
                "difference": differences[name],
            }
            for name, each in seconds.items()
        },
    }
    write_whole(out, json.dumps(report, indent=1) + "\n")
    click.echo("| graph | ms a body | times as fast as ours |\n|---|---|---|")
    for name, facts in report["graphs"].items():
        click.echo(f"| {name} | {facts['ms_a_body']:.1f} | {facts['times_ours']:.2f} |")


def _changed(ours: ModelProto, change: Callable[["_Graph"], int]) -> ModelProto:
    """A copy with this change in every block. Raises `RuntimeError` where the graph has no place for it."""
    graph = _Graph(ours)
    if change(graph) == 0:
        raise RuntimeError(f"{change.__name__} found nothing to change; the exporter may write another graph now.")
    return graph.written()


class _Graph:
    """Nodes of a graph that is changed, and what they are made of."""

    def __init__(self, model: ModelProto) -> None:
        self._model = ModelProto()
        self._model.CopyFrom(model)
        self.nodes: list[NodeProto] = list(self._model.graph.node)
        self.makers = {output: node for node in self.nodes for output in node.output}
        self.constants: dict[str, TensorProto] = {each.name: each for each in self._model.graph.initializer}

    def array(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self.constants[name])

    def linear_behind(self, name: str) -> NodeProto | None:
        """The linear layer whose rows a tensor has, in another shape."""
        maker = self.makers.get(name)
        while maker is not None and maker.op_type == "Reshape":
            maker = self.makers.get(maker.input[0])
        return maker if maker is not None and maker.op_type == "Gemm" else None

    def written(self) -> ModelProto:
        # What is noted of shapes no longer fits.
        del self._model.graph.node[:], self._model.graph.initializer[:], self._model.graph.value_info[:]
        self._model.graph.node.extend(self.nodes)
        self._model.graph.initializer.extend(self.constants.values())
        if all(each.domain != _CONTRIBUTED for each in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid(_CONTRIBUTED, 1))
        onnx.checker.check_model(self._model)
        return self._model


def bias_with_gelu(graph: _Graph) -> int:
    """The bias of a layer is added in the pass that computes GELU."""
    changed = 0
    for node in graph.nodes:
        linear = graph.linear_behind(node.input[0]) if node.op_type == "Gelu" else None
        if linear is not None:
            node.input.append(linear.input.pop())
            node.op_type, node.domain = "BiasGelu", _CONTRIBUTED
            del node.attribute[:]
            changed += 1
    return changed


def skip_with_norm(graph: _Graph) -> int:
    """What goes around a layer is added to its result in the pass of the norm behind it."""
    norms = {node.input[0]: node for node in graph.nodes if node.op_type == "LayerNormalization"}
    # One of an addition's two inputs comes from a layer. The first addition of all is that of positions.
    sums = {
        node.output[0]: node
        for node in graph.nodes
        if node.op_type == "Add"
        and node.output[0] in norms
        and graph.linear_behind(node.input[1]) is not None
        and graph.linear_behind(node.input[0]) is None
    }
    nodes = []
    for node in graph.nodes:
        if node.op_type == "LayerNormalization" and node.input[0] in sums:
            around, of_layer = sums[node.input[0]].input
            written = helper.make_node(
                "SkipLayerNormalization",
                [around, of_layer, *node.input[1:]],
                [node.output[0], "", "", node.input[0]],
                domain=_CONTRIBUTED,
                epsilon=next(each.f for each in node.attribute if each.name == "epsilon"),
            )
            nodes.append(written)
        elif not (node.op_type == "Add" and node.output[0] in sums):
            nodes.append(node)
    graph.nodes = nodes
    return len(sums)


def three_products(graph: _Graph) -> int:
    """Queries, keys and values each have a product of their own, so that none is split."""
    nodes: list[NodeProto] = []
    changed = 0
    for node in graph.nodes:
        linear = graph.linear_behind(node.input[0]) if node.op_type == "Split" else None
        if linear is None:
            nodes.append(node)
            continue
        # Its weights are stored with a row for each output; what follows gives the rows their shape.
        for part, (weight, bias) in enumerate(
            zip(*(np.split(graph.array(name), 3) for name in linear.input[1:]), strict=True)
        ):
            names = [f"{name}.{part}" for name in linear.input[1:]]
            for name, array in zip(names, (weight, bias), strict=True):
                graph.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
            nodes.append(helper.make_node("Gemm", [linear.input[0], *names], [node.output[part]], transB=1))
        changed += 1
    graph.nodes = nodes
    return changed


CHANGES: dict[str, Callable[[_Graph], int]] = {
    "bias and GELU as one": bias_with_gelu,
    "skip and norm as one": skip_with_norm,
    "queries, keys and values as three products": three_products,
}


if __name__ == "__main__":
    main()
