"""What a GPU must compute as a CPU does. Without a GPU, the comparisons run between the CPU and itself."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.support.parity import CASES, CPU, difference, make_case, take_step
from tests.support.small_runs import tiny_config, tiny_general_config, write_store
from trainer.evaluate.embeddings import embed_store, torch_embedder
from trainer.loop import Trainer
from trainer.objectives.halp import HalpConfig
from trainer.step import repeatable

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

pytestmark = pytest.mark.cuda
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
every_case = pytest.mark.parametrize("name", CASES)


CONFIGS = {"gfp": tiny_config, "general": tiny_general_config}
CONFIGS_THAT_WAIT_FOR_NOTHING = {**CONFIGS, "halp": partial(tiny_config, objective=HalpConfig(queue_keys=256))}


@every_case
def test_in_float32_losses_and_gradients_are_those_of_the_cpu(name: str) -> None:
    case = make_case(name)
    expected = take_step(case, CPU, bf16=False)
    found = difference(take_step(case, DEVICE, bf16=False), expected)
    assert found.loss < 1e-4
    assert found.gradients < 1e-3


@every_case
def test_in_bf16_losses_and_gradients_are_finite_and_near_those_of_float32(name: str) -> None:
    case = make_case(name)
    step = take_step(case, DEVICE, bf16=True)
    assert step.is_finite
    found = difference(step, take_step(case, CPU, bf16=False))
    assert found.loss < 0.02
    assert found.gradients < 0.2


@every_case
def test_the_comparison_sees_a_tenth_of_the_first_weights(name: str) -> None:
    case, other = make_case(name), make_case(name)
    with torch.no_grad():
        other.model.encoder.embed.weight.mul_(1.1)
    found = difference(take_step(other, DEVICE, bf16=False), take_step(case, CPU, bf16=False))
    assert found.gradients > 1e-3


def test_embeddings_are_those_of_the_cpu(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    trainer = Trainer(tiny_general_config(device=DEVICE.type), store, tmp_path / "run")
    chosen = torch.arange(len(store)).numpy()
    ours, theirs = (
        embed_store(torch_embedder(trainer.objective.encoder, device), store, trainer.preprocess.sampling, chosen)
        for device in (DEVICE, CPU)
    )
    assert (ours * theirs).sum(axis=1).min() > 0.999


@needs_gpu
@pytest.mark.parametrize("kind", CONFIGS_THAT_WAIT_FOR_NOTHING)
def test_a_step_waits_for_nothing(tmp_path: Path, kind: str) -> None:
    config = CONFIGS_THAT_WAIT_FOR_NOTHING[kind](device="cuda", compile="off")
    trainer = Trainer(config, write_store(tmp_path / "store"), tmp_path / "run")
    with repeatable(trainer.device):
        for _ in range(2):  # what is made once may wait
            trainer.train_step()
        try:
            torch.cuda.set_sync_debug_mode("error")
            trainer.train_step()
        finally:
            torch.cuda.set_sync_debug_mode("default")


COMPILED = """
import json, sys
from pathlib import Path
from tests.support.small_runs import tiny_config, tiny_general_config, write_store
from trainer.loop import Trainer
from trainer.step import skipped_graphs

folder, kind, mode, device = sys.argv[1:]
make = {"gfp": tiny_config, "general": tiny_general_config}[kind]
store, losses = write_store(Path(folder) / "store"), []
for how in ("off", mode):
    trainer = Trainer(make(device=device, compile=how, precision="fp32"), store, Path(folder) / how)
    losses.append([trainer.train_step().total.item() for _ in range(8)])
print(json.dumps([*losses, skipped_graphs()]))
"""


@needs_gpu
@pytest.mark.parametrize("mode", ["fused", "graphs"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_compiled_steps_have_the_losses_of_plain_ones_and_graphs_are_not_skipped(
    tmp_path: Path, kind: str, mode: str
) -> None:
    # In a separate process: here each call checks its annotations, and a graph cannot include that.
    command = [sys.executable, "-c", COMPILED, tmp_path, kind, mode, "cuda"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    plain, compiled, skipped = json.loads(ended.stdout)
    assert compiled == pytest.approx(plain, rel=5e-3)
    assert skipped == 0
