"""benchmarks/gpu.py on a CPU: a phase that fails stops no other, and one that is done is not done again."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gfp_serve.bundle import Bundle

ROOT = Path(__file__).parents[2]
PHASES = importlib.import_module("benchmarks.gpu").PHASES
published = importlib.import_module("benchmarks.on_gpu.published")
Settings = importlib.import_module("benchmarks.on_gpu.settings").Settings
summary = importlib.import_module("benchmarks.on_gpu.summary").summary


def gpu(out: Path, *words: object) -> str:
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--device", "cpu", "--tiny", "--out", out, *words]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=out.parent)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.timeout(600)
def test_phases_stand_alone_and_are_done_once(tmp_path: Path) -> None:
    out, no_store = tmp_path / "out", tmp_path / "not-a-store"
    no_store.mkdir()
    said = gpu(out, "--minutes", 5, "--phase", "general", "--phase", "machine", "--store", no_store)
    assert "general: failed, exit code 1 after" in said
    assert "not-a-store" in json.loads((out / "general.failed.json").read_text())["log"]
    assert "machine: done" in said
    assert json.loads((out / "machine.json").read_text())["tflop_per_s"].keys() >= {"large", "encoder, qkv"}
    summary = (out / "summary.md").read_text()
    assert "Failed: exit code 1" in summary
    assert "## galleries\n\nNot run." in summary
    assert "machine: passed over, it has its file" in gpu(out, "--minutes", 5, "--phase", "machine")
    assert "attention: passed over, it has no time left" in gpu(out, "--minutes", 0.1, "--phase", "attention")
    # The training leaves some to the phases behind it.
    assert PHASES["general"].leaves_s == 150
    said = gpu(out, "--minutes", 2.6, "--phase", "general", "--phase", "machine")
    assert "general: passed over, it has no time left" in said


@pytest.mark.timeout(600)
def test_the_training_keeps_to_its_time_evaluates_and_cuts_the_checkpoint_into_pieces_that_join(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    assert "general: done" in gpu(out, "--minutes", 5, "--phase", "general")
    found = json.loads((out / "general.json").read_text())
    assert 0 < found["steps"] <= found["total_steps"]
    assert found["clips_seen"] == 8 * found["steps"]
    pieces = out / "general-checkpoint"
    whole = (out / "general-run" / "checkpoint.pt").read_bytes()
    joined = subprocess.run(["sh", pieces / "join.sh"], capture_output=True, text=True, cwd="/")
    assert joined.returncode == 0, joined.stderr
    assert (pieces / "checkpoint.pt").read_bytes() == whole
    assert "chance_percent" in found["evaluation"]


@pytest.mark.timeout(600)
def test_the_encoder_that_is_served_by_default_is_measured(tmp_path: Path) -> None:
    assert "encoder: done" in gpu(tmp_path / "out", "--minutes", 5, "--phase", "encoder")
    found = json.loads((tmp_path / "out" / "encoder.json").read_text())
    assert found["canonical_difference"] < 1e-4
    assert found["clips_per_s, 2 at once"] > 0


@pytest.mark.parametrize("way", ["session_run", "bound", "graphs", "fp16", "fp16_graphs"])
def test_an_encoder_with_attention_is_measured_in_each_way_that_this_machine_has(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = Bundle.read(ROOT / "tests" / "golden" / "bundle-format-1")
    monkeypatch.setattr(published, "_published", lambda *_: golden)  # an export takes long
    found = getattr(published, way)(Settings(tmp_path, "cpu", True, 60.0))
    assert found["device"] == "cpu"
    assert found["clips_per_s, 2 at once"] > 0
    difference = found["largest_difference_to_the_cpu"]
    assert 1e-7 < difference < 1e-2 if "fp16" in way else difference < 1e-5
    assert found["centred_cosine_to_the_cpu"] > 0.99
    (tmp_path / "published_way.json").write_text(json.dumps({"phase_s": 1.0, **found}))
    assert "- clips_per_s, 2 at once: " in summary(tmp_path, ["published_way"])


def test_a_way_that_needs_a_gpu_is_passed_over_on_a_cpu(tmp_path: Path) -> None:
    said = gpu(tmp_path / "out", "--minutes", 5, "--phase", "published_tensorrt")
    assert "published_tensorrt: passed over, it needs onnxruntime-gpu" in said


@pytest.mark.parametrize("name", PHASES)
def test_each_phase_is_a_function(name: str) -> None:
    module, function = PHASES[name].function.split(".")
    assert callable(getattr(importlib.import_module(f"benchmarks.on_gpu.{module}"), function))


WITHOUT_ENGINES = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("faiss", "onnxruntime", "pymilvus"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
from trainer.cli import gfp_cost, gfp_data, gfp_evaluate, gfp_train
print("loaded")
"""


def test_training_and_evaluation_need_no_engine_of_the_server() -> None:
    # On a machine with a GPU, these are packages of hundreds of megabytes that training would wait for.
    ended = subprocess.run([sys.executable, "-c", WITHOUT_ENGINES], capture_output=True, text=True, cwd=ROOT)
    assert ended.stdout == "loaded\n", ended.stderr
