"""What an embedding costs: our graphs beside torch and beside the graph that torch's exporter writes.

    python benchmarks/encode.py run --work WORK                      all sides, in turns, on one core
    python benchmarks/encode.py run --work WORK --openvino PYTHON    and OpenVINO, in an environment of its own
    python benchmarks/encode.py table                                the report as Markdown
    python benchmarks/encode.py operators --work WORK                where the time of our graph goes
    python benchmarks/encode.py shipped                              the shipped encoder, and preparing its clips

The encoder is the published one (8 blocks of width 256, 750 tokens a body), or that of a run with --run; time does not
depend on weights. Clips are a mix: four of ten have one body. As peers publish it, an absent body is computed too, and
attention stores the matrix of all pairs; the first side does both. All sides take turns in each round, and the product
of two matrices of the encoder's size does too: it says what this core can do in the same minute.
"""

import copy
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import onnx
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.serving.bundles import MIX, made_up_clip
from gfp_serve.bundle import INPUT_NAME, Bundle, Manifest
from gfp_serve.cli.options import Group
from gfp_serve.config import DEFAULT_BUNDLE
from gfp_serve.encoder import Encoder
from gfp_serve.files import write_whole
from gfp_serve.formats import Clip
from gfp_serve.layouts import LAYOUTS, NTU25, Layout
from gfp_serve.preprocess import MAX_BODIES, PreprocessConfig, prepare
from trainer.checkpoint import Checkpoint
from trainer.config import TrainConfig
from trainer.embedding import ClipEmbedding
from trainer.encoders.transformer import DotProductAttention
from trainer.evaluate.candidates import untrained
from trainer.export import Origin, export_bundle
from trainer.flops import ENCODER_ALL_TOKENS, cost_table
from trainer.int8 import quantized
from trainer.onnx_graph import FORMS, in_form, to_onnx
from trainer.token_choice import Budget, FewTokens

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # gfp_serve/runtime.py says why, and has imported it already
import onnxruntime

REPORT = Path("benchmarks/encode.json")
OPERATORS_REPORT = Path("benchmarks/encode_operators.json")
SHIPPED_REPORT = Path("benchmarks/encode_shipped.json")
# Layouts whose clips are prepared: of the model itself, of another depth camera, and of two estimators.
PREPARED = ("ntu25", "kinect20", "coco17", "mediapipe33")
BUDGETS = (375, 188, 75)
EXPLICIT, FUSED_TORCH, AS_TORCH_WRITES = "torch, explicit softmax", "torch, fused attention", "graph as torch writes it"
PRODUCT = "matrix product"

Embed = Callable[[np.ndarray], np.ndarray]


class _Explicit(nn.Module):
    """Attention as peers publish it, with the matrix of all pairs."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        shares = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(dim=3)
        return (shares @ v).transpose(1, 2).flatten(2)


@click.group(cls=Group, help=__doc__)
def main() -> None:
    """Keep `table` apart from what takes minutes."""


_out_option = click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)


@main.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for graphs.")
@click.option("--run", "run_folder", type=click.Path(path_type=Path, exists=True), help="Whose encoder.")
@click.option("--openvino", metavar="PYTHON", help="A Python that has OpenVINO: it reports to its maker when imported.")
@click.option("--rounds", default=7, show_default=True)
@_out_option
def run(work: Path, run_folder: Path | None, openvino: str | None, rounds: int, out: Path) -> None:
    """Time all sides in turns."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    if run_folder is None:
        config = TrainConfig()
        model = untrained(config).eval()
    else:
        checkpoint = Checkpoint.read(run_folder)
        config, model = checkpoint.config, checkpoint.build_encoder()
    preprocess = PreprocessConfig(sampling=replace(PreprocessConfig().sampling, num_frames=config.num_frames))
    raw = [made_up_clip(seed)[:, :bodies] for seed, bodies in enumerate(MIX)]
    clips = [prepare(clip, NTU25, preprocess) for clip in raw]
    with ExitStack() as stack:
        sides = _sides(model, preprocess, work)
        if openvino:
            # By its own choice it computes in bf16 where the processor can.
            for precision in ("f32", "its choice"):
                side = _OpenVino(openvino, work / "torch.onnx", precision)
                sides[f"OpenVINO, {precision}"] = stack.enter_context(side)
        expected = sides[FUSED_TORCH](clips[0])
        differences = {name: float(np.abs(embed(clips[0]) - expected).max()) for name, embed in sides.items()}
        seconds = _timed(sides, clips, config.encoder.width, rounds)
    gflop = cost_table(config.encoder, config.objective, num_frames=config.num_frames)[ENCODER_ALL_TOKENS]
    of_clip = {name: median(each) / len(clips) for name, each in seconds.items() if name != PRODUCT}
    gemm = median(seconds[PRODUCT])
    report = {
        "encoder": {"width": config.encoder.width, "gflop_of_two_bodies": gflop},
        "one_body_share": MIX.count(1) / len(MIX),
        "rounds": rounds,
        "gemm_gflop_per_s": gemm,
        "packages": {"torch": torch.__version__, "onnxruntime": version("onnxruntime")},
        "sides": {
            name: {
                "ms_a_clip": 1000 * each,
                "times_explicit": of_clip[EXPLICIT] / each,
                "times_torchs_graph": of_clip[AS_TORCH_WRITES] / each,
                "of_gemm": gflop / MAX_BODIES * _bodies_of(name) / len(clips) / each / gemm
                if _is_whole(name)
                else None,
                "difference": differences[name],
            }
            for name, each in of_clip.items()
        },
        "preprocessing_ms_a_clip": 1000 * _preprocessing_s(raw, preprocess),
    }
    write_whole(out, json.dumps(report, indent=1) + "\n")
    _print(report)


def _sides(model: nn.Module, preprocess: PreprocessConfig, work: Path) -> dict[str, Embed]:
    """How each side embeds a clip. The graphs are written into the folder."""
    explicit = _copied(model, _Explicit)
    clip = Clip(name="made up", sequence=made_up_clip(), layout=NTU25, fps=30.0)
    origin = Origin(name="timed", objective="none", step=0, data={}, training=None)
    sides: dict[str, Embed] = {EXPLICIT: _of_torch(explicit, always_two=True), FUSED_TORCH: _of_torch(model)}
    (work / "torch.onnx").write_bytes(_as_torch_writes(model, preprocess))
    sides[AS_TORCH_WRITES] = _of_graph((work / "torch.onnx").read_bytes(), preprocess)
    exported = export_bundle(model, [clip], preprocess, origin, {}, form="fused").bundle
    fused = onnx.load_from_string(exported.model)
    for form in FORMS:
        content = in_form(fused, form).SerializeToString()
        (work / f"{form}.onnx").write_bytes(content)
        sides[f"ours, {form}"] = _of_graph(content, preprocess)
    for weights in ("signed", "unsigned"):
        sides[f"ours, 8 bits, {weights}"] = _of_bundle(quantized(exported, weights))
    for count in BUDGETS:
        few = FewTokens(model, Budget(count))  # type: ignore[arg-type]
        sides[f"ours, {count} tokens"] = _of_bundle(
            export_bundle(few, [clip], preprocess, origin, {}, form="fused").bundle
        )
    return sides


def _copied(model: nn.Module, attention: type[nn.Module]) -> nn.Module:
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, DotProductAttention):
            module.__class__ = attention  # type: ignore[assignment]
    return model


def _as_torch_writes(model: nn.Module, preprocess: PreprocessConfig) -> bytes:
    """The graph of torch's exporter with nothing of ours in it."""
    graph = to_onnx(ClipEmbedding(model).eval(), preprocess.sampling.num_frames, quick=False)
    return graph.SerializeToString()


def _of_torch(model: nn.Module, *, always_two: bool = False) -> Embed:
    graph = ClipEmbedding(model).eval()

    def embed(clip: np.ndarray) -> np.ndarray:
        if always_two and len(clip) < MAX_BODIES:
            clip = np.concatenate([clip, np.zeros_like(clip)])
        with torch.inference_mode():
            return graph(torch.from_numpy(clip[None]))[0].numpy()

    return embed


def _of_bundle(bundle: Bundle) -> Embed:
    encoder = Encoder(bundle, device="cpu", num_threads=1)
    return lambda clip: encoder.encode(clip[None])[0]


def _of_graph(content: bytes, preprocess: PreprocessConfig) -> Embed:
    manifest = Manifest(
        name="timed",
        embedding_size=1,
        objective="none",
        step=0,
        preprocess=preprocess,
        data={},
        opset=0,
        producer="",
        model_sha256=hashlib.sha256(content).hexdigest(),
    )
    return _of_bundle(Bundle(manifest, content, ()))


class _OpenVino:
    """OpenVINO in an environment of its own. Clips and vectors go through pipes, whose time counts too."""

    _CODE = """
import sys, numpy as np, openvino as ov
core = ov.Core()
wanted = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
if sys.argv[2] != "its choice":
    wanted["INFERENCE_PRECISION_HINT"] = sys.argv[2]
model = core.compile_model(sys.argv[1], "CPU", wanted)
print("ready", flush=True)
while head := sys.stdin.buffer.readline():
    shape = tuple(map(int, head.split()))
    clip = np.frombuffer(sys.stdin.buffer.read(4 * int(np.prod(shape))), "<f4").reshape(shape)
    vector = next(iter(model(clip).values()))
    sys.stdout.buffer.write(b"%d\\n" % vector.size + vector.astype("<f4").tobytes())
    sys.stdout.buffer.flush()
"""

    def __init__(self, python: str, graph: Path, precision: str) -> None:
        self._words = [python, "-c", self._CODE, str(graph), precision]

    def __enter__(self) -> Embed:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._words, stdin=pipe, stdout=pipe)
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None or stdout.readline() != b"ready\n":
            raise click.ClickException("OpenVINO did not start.")

        def embed(clip: np.ndarray) -> np.ndarray:
            stdin.write((" ".join(map(str, clip[None].shape)) + "\n").encode() + clip.tobytes())
            stdin.flush()
            return np.frombuffer(stdout.read(4 * int(stdout.readline())), "<f4")

        return embed

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def _timed(sides: dict[str, Embed], clips: list[np.ndarray], width: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of all clips by side and round; of the matrix product, GFLOP a second."""
    seconds: dict[str, list[float]] = {name: [] for name in (*sides, PRODUCT)}
    a, b = torch.randn(750, width), torch.randn(width, 4 * width)
    for number in range(rounds):
        for name, embed in sides.items():
            began = time.perf_counter()
            for clip in clips:
                embed(clip)
            seconds[name].append(time.perf_counter() - began)
        began = time.perf_counter()
        for _ in range(20):
            a @ b
        seconds[PRODUCT].append(20 * 2 * 750 * 4 * width**2 / (time.perf_counter() - began) / 1e9)
        click.echo(f"{number + 1} of {rounds}", err=True)
    return seconds


def _preprocessing_s(raw: list[np.ndarray], preprocess: PreprocessConfig) -> float:
    seconds = []
    for _ in range(9):
        began = time.perf_counter()
        for clip in raw:
            prepare(clip, NTU25, preprocess)
        seconds.append((time.perf_counter() - began) / len(raw))
    return median(seconds)


def _is_whole(name: str) -> bool:
    return "tokens" not in name and "8 bits" not in name


def _bodies_of(name: str) -> int:
    return MAX_BODIES * len(MIX) if name == EXPLICIT else sum(MIX)


@main.command()
@_out_option
def table(out: Path) -> None:
    """Print the report as Markdown."""
    _print(json.loads(out.read_text()))


@main.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for the profile.")
@click.option("--rounds", default=7, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=OPERATORS_REPORT, show_default=True)
def operators(work: Path, rounds: int, out: Path) -> None:
    """Time each operator of the fused graph of the published encoder, one body, on one core."""
    work.mkdir(parents=True, exist_ok=True)
    origin = Origin(name="timed", objective="none", step=0, data={}, training=None)
    clip = Clip(name="made up", sequence=made_up_clip(), layout=NTU25, fps=30.0)
    config = TrainConfig()
    model = untrained(config).eval()
    exported = export_bundle(model, [clip], PreprocessConfig(), origin, {}, form="fused").bundle
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = str(work / "operators")
    session = onnxruntime.InferenceSession(exported.model, options, providers=["CPUExecutionProvider"])
    body = prepare(made_up_clip()[:, :1], NTU25, PreprocessConfig())
    a, b = torch.randn(750, config.encoder.width), torch.randn(config.encoder.width, 4 * config.encoder.width)
    torch.set_num_threads(1)
    rates = []
    for _ in range(rounds):
        session.run(None, {INPUT_NAME: body[None]})
        began = time.perf_counter()
        for _ in range(20):
            a @ b
        rates.append(20 * 2 * a.numel() * b.shape[1] / (time.perf_counter() - began) / 1e9)
    ms: dict[str, list[float]] = {}
    for event in json.loads(Path(session.end_profiling()).read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            ms.setdefault(event["args"]["op_name"], []).append(event["dur"] / 1000)
    of_body = {name: sum(each) / rounds for name, each in sorted(ms.items(), key=lambda item: -sum(item[1]))}
    report = {"rounds": rounds, "gemm_gflop_per_s": median(rates), "ms_a_body": of_body}
    write_whole(out, json.dumps(report, indent=1) + "\n")
    for name, each in of_body.items():
        click.echo(f"{name:28} {each:6.1f} ms")
    click.echo(f"A matrix product: {median(rates):.0f} GFLOP/s.")


@main.command()
@click.option("--openvino", metavar="PYTHON", help="A Python that has OpenVINO: it reports to its maker when imported.")
@click.option("--rounds", default=15, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=SHIPPED_REPORT, show_default=True)
def shipped(openvino: str | None, rounds: int, out: Path) -> None:
    """Time the shipped encoder and what prepares its clips, by layout, whole and with gaps, in turns on one core."""
    bundle = Bundle.read(DEFAULT_BUNDLE)
    preprocess = bundle.manifest.preprocess
    raw = {(name, gaps): _raw_clips(LAYOUTS[name], gaps=gaps) for name in PREPARED for gaps in (False, True)}
    prepared = [prepare(clip, NTU25, preprocess) for clip in raw["ntu25", False]]
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        encoders = {"encode": _of_bundle(bundle)}
        if openvino:
            (Path(folder) / "shipped.onnx").write_bytes(bundle.model)
            side = _OpenVino(openvino, Path(folder) / "shipped.onnx", "f32")
            encoders["encode, OpenVINO"] = stack.enter_context(side)
            difference = float(
                np.abs(encoders["encode"](prepared[0]) - encoders["encode, OpenVINO"](prepared[0])).max()
            )
            click.echo(f"OpenVINO's vectors differ by {difference:.1e}.", err=True)
        seconds: dict[str, list[float]] = {}

        def time_each(name: str, act: Callable[[np.ndarray], object], clips: list[np.ndarray]) -> None:
            began = time.perf_counter()
            for clip in clips:
                act(clip)
            seconds.setdefault(name, []).append((time.perf_counter() - began) / len(clips))

        for _ in range(rounds):
            for name, embed in encoders.items():
                time_each(name, embed, prepared)
            for (name, gaps), clips in raw.items():
                layout = LAYOUTS[name]
                act = partial(prepare, layout=layout, config=preprocess)
                time_each(f"prepare {name}{', gaps' if gaps else ''}", act, clips)
    ms = {name: 1000 * median(each) for name, each in seconds.items()}
    report = {
        "encoder": bundle.manifest.name,
        "one_body_share": MIX.count(1) / len(MIX),
        "rounds": rounds,
        "packages": {"numpy": np.__version__, "onnxruntime": version("onnxruntime")},
        "sides": {name: {"ms_a_clip": each, "of_encoding": each / ms["encode"]} for name, each in ms.items()},
    }
    write_whole(out, json.dumps(report, indent=1) + "\n")
    for name, each in report["sides"].items():
        click.echo(f"{name:24} {each['ms_a_clip']:6.2f} ms, {each['of_encoding']:.2f} of encoding")


def _raw_clips(layout: Layout, *, gaps: bool) -> list[np.ndarray]:
    """The clips of a round. With gaps, every second joint is lost for 20 frames at some time, as behind a table."""
    clips = []
    for seed, bodies in enumerate(MIX):
        clip = made_up_clip(seed, layout.num_joints)[:, :bodies]
        draws = np.random.default_rng(seed)
        for joint in range(0, layout.num_joints, 2) if gaps else ():
            start = int(draws.integers(0, len(clip) - 20))
            clip[start : start + 20, :, joint] = np.nan
        clips.append(clip)
    return clips


def _print(report: dict[str, Any]) -> None:
    click.echo("| side | ms a clip | × explicit softmax | × torch's graph | share of a matrix product |")
    click.echo("|---|---|---|---|---|")
    for name, side in report["sides"].items():
        share = "" if side["of_gemm"] is None else f"{side['of_gemm']:.2f}"
        times = f"{side['times_explicit']:.2f} | {side['times_torchs_graph']:.2f}"
        click.echo(f"| {name} | {side['ms_a_clip']:.1f} | {times} | {share} |")
    click.echo(
        f"\nPreprocessing: {report['preprocessing_ms_a_clip']:.2f} ms a clip. A matrix product: "
        f"{report['gemm_gflop_per_s']:.0f} GFLOP/s."
    )


if __name__ == "__main__":
    main()
