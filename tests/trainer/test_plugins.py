"""Encoders and objectives of another package: found by name, refused in words, and named where they are missing."""

import dataclasses
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gfp_serve.bundle import Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.errors import GfpError
from tests.support.outside_package import ENTRY_POINTS, MODULE, write_package
from tests.support.small_runs import write_store
from trainer import encoders, objectives
from trainer import plugins as plugins_module
from trainer.checkpoint import Checkpoint

# Before any test has packages to be found: a command's choices are those of the moment when it was first imported.
from trainer.cli.cost import gfp_cost
from trainer.cli.evaluate import gfp_evaluate
from trainer.cli.export import gfp_export
from trainer.cli.train import gfp_train
from trainer.flops import cost_table

CLIPS = Path(__file__).parents[2] / "examples" / "clips" / "precog.npz"


@pytest.fixture(autouse=True)
def looked_for_anew() -> Iterator[None]:
    reserved = {kind: set(names) for kind, names in plugins_module._reserved.items()}
    plugins_module._load.cache_clear()
    yield
    plugins_module._reserved.update(reserved)
    plugins_module._load.cache_clear()
    sys.modules.pop("outside_gfp", None)


def use(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.syspath_prepend(str(folder))
    plugins_module._load.cache_clear()


def train(*words: object) -> Result:
    return CliRunner().invoke(gfp_train, [str(word) for word in words])


def test_nothing_is_imported_for_what_is_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, write_package(tmp_path, module="raise RuntimeError('imported')"))
    config = encoders.config_from_json({"width": 16, "depth": 1, "num_heads": 2})
    assert encoders.config_to_json(config)["name"] == "transformer"
    assert objectives.name_of(objectives.config_from_json({"name": "gfp"})) == "gfp"
    assert plugins_module._load.cache_info().misses == 0


def test_an_encoder_and_an_objective_of_another_package_train_and_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_package(tmp_path / "site")
    use(monkeypatch, folder)
    encoder = encoders.config_types()["frames"](width=8)  # type: ignore[call-arg]
    assert encoders.config_to_json(encoder) == {
        "name": "frames",
        "package": "outside-gfp 1.2",
        "frame": "room",
        "width": 8,
    }
    assert encoders.config_from_json(encoders.config_to_json(encoder)) == encoder
    assert encoders.build_encoder(encoder, num_frames=24).num_tokens == 24
    program = "from trainer.cli.train import gfp_train; import sys; gfp_train(sys.argv[1:], standalone_mode=False)"
    write_store(tmp_path / "store")
    run = tmp_path / "run"
    words = [tmp_path / "store", "--out", run, "--encoder", "frames", "--width", 8, "--objective", "alike"]
    words += ["--alike-weight", 0.5, "--num-frames", 24, "--epochs", 1, "--batch-clips", 4, "--warmup-epochs", 0]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", ".")])}
    ended = subprocess.run(
        [sys.executable, "-c", program, *map(str, words), "--device", "cpu"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert ended.returncode == 0, ended.stderr
    saved = Checkpoint.read(run)
    assert saved.config.packages() == {"encoder": "outside-gfp 1.2", "objective": "outside-gfp 1.2"}
    assert json.loads((run / "run.json").read_text())["packages"] == saved.config.packages()
    settings = (run / "config.toml").read_text()
    assert tomllib.loads(settings)["alike_weight"] == 0.5
    assert 'This one is of the package outside-gfp 1.2.\nencoder = "frames"' in settings

    # It is evaluated, exported and compared as any other.
    for command, arguments in (
        (gfp_evaluate, ["retrieval", run, tmp_path / "store", "--device", "cpu"]),
        (gfp_evaluate, ["compare", run, tmp_path / "store", "--out", tmp_path / "compared", "--device", "cpu"]),
        (gfp_export, [run, "--out", tmp_path / "bundle", "--clips", CLIPS]),
    ):
        done = CliRunner().invoke(command, [str(word) for word in arguments])
        assert done.exit_code == 0, done.output
    bundle = Bundle.read(tmp_path / "bundle")
    bundle.check(Encoder(bundle, device="cpu").encode)
    assert bundle.manifest.objective == "alike"
    costs = cost_table(saved.config.encoder, saved.config.objective, num_frames=24)
    assert costs["encoder, all tokens"] > 0

    # Where the package is not installed, everything that names it says so.
    monkeypatch.undo()
    plugins_module._load.cache_clear()
    with pytest.raises(GfpError, match=r"the encoder 'frames' of the package outside-gfp 1.2 is not installed"):
        Checkpoint.read(run)
    refused = train(tmp_path / "store", "--out", tmp_path / "other", "--config", run / "config.toml")
    assert 'sets encoder to "frames"; expected one of gru, slim, transformer, two_stream.' in " ".join(
        refused.output.split()
    )
    assert refused.exit_code == 2


def test_what_cannot_be_used_is_left_out_with_a_reason_and_the_others_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = ENTRY_POINTS.replace(
        "[gfp.objectives]", "gru = outside_gfp:Frames\nlost = not_there:Lost\n[gfp.objectives]"
    )
    points += "halp = outside_gfp:Alike\nnone = outside_gfp:Alike\nwrong = outside_gfp:Frames\n"
    use(monkeypatch, write_package(tmp_path, module=MODULE, entry_points=points))
    assert set(encoders.installed()) == {*encoders.ENCODERS, "frames"}
    assert encoders.installed()["gru"] is encoders.ENCODERS["gru"]
    said = encoders.others().left_out
    assert said["gru of outside-gfp 1.2"].endswith(
        "because one with this name is built in; its entry point needs another name."
    )
    assert said["lost"].startswith("the encoder 'lost' of the package outside-gfp 1.2 is left out")
    assert "ModuleNotFoundError: No module named 'not_there'" in said["lost"]
    about = objectives.others().left_out
    assert set(about) == {"halp of outside-gfp 1.2", "none of outside-gfp 1.2", "wrong"}
    assert "not a subclass of trainer.objectives.objective.Objective" in about["wrong"]
    assert "alike" in objectives.config_types()
    with pytest.raises(plugins_module.MissingPluginError, match="cannot be imported"):
        encoders.config_from_json({"name": "lost", "package": "outside-gfp 1.2"})
    shown = " ".join(train("store", "--out", tmp_path / "run").output.split())
    assert "warning: the encoder 'lost' of the package outside-gfp 1.2 is left out" in shown


WIDTH = 'width: int = setting(16, "Numbers in a token.")'


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("import sys; sys.exit('bye')", "cannot be imported: SystemExit: bye"),
        (MODULE.replace(WIDTH, "width: int"), "its settings cannot be made without values: TypeError"),
        (MODULE.replace("width: int", "width: 'Nowhere'"), "its settings cannot be made without values: NameError"),
        (MODULE.replace(WIDTH, 'sizes: list = setting(None, "S.")'), "its setting sizes is not a whole number"),
        (
            MODULE.replace(WIDTH, 'power: Literal[1, 2] = setting(2, "P.")').replace(
                "ClassVar\n", "ClassVar, Literal\n", 1
            ),
            "its setting power is not a whole number, a number, a text, true or false, or a Literal of texts",
        ),
        (
            MODULE.replace(WIDTH, 'no_keep_absent_bodies: bool = setting(False, "K.")'),
            "it has a setting called no_keep_absent_bodies, and a flag that begins with --no-",
        ),
        (MODULE.replace("width: int", "width: str"), "its setting width has another type than that of gru"),
        (MODULE.replace(WIDTH, 'epochs: int = setting(1, "E.")'), "it has a setting called epochs, and the option"),
        (MODULE.replace(WIDTH, 'mask_ratio: float = setting(1, "E.")'), "it has a setting called mask_ratio"),
        (MODULE.replace(WIDTH, 'package: str = setting("", "P.")'), "it has a setting called package, which checkpo"),
        (MODULE.replace("def tokens", "def token"), "it does not have what every one needs: tokens"),
        (MODULE.replace("FramesConfig(EncoderConfig)", "FramesConfig"), "is not a subclass of trainer.encoders.enc"),
        (
            "from trainer.encoders.gru import Gru\n\n\nclass Frames(Gru):\n    pass",
            "it has the settings of gru; it needs",
        ),
    ],
)
def test_a_class_that_would_break_options_or_checkpoints_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, why: str
) -> None:
    points = "[gfp.encoders]\nframes = outside_gfp:Frames\n"
    use(monkeypatch, write_package(tmp_path, module=module, entry_points=points))
    assert "frames" not in encoders.config_types()
    assert why in encoders.others().left_out["frames"]


OBJECTIVE = """
@dataclass(frozen=True, slots=True, kw_only=True)
class {name}Config(AlikeConfig):
    pass


class {name}(Alike):
    config_type = {name}Config

    def forward(self, batch):
        good = super().forward(batch)
        return {answer}
"""
ENCODER = """
@dataclass(frozen=True, slots=True, kw_only=True)
class {name}Config(FramesConfig):
    pass


class {name}(Frames):
    config_type = {name}Config

    def tokens(self, bodies, draws=None):
        good = super().tokens(bodies)
        return {answer}
"""
# Name -> what it gives, and what is said of it.
BROKEN_OBJECTIVES = {
    "bare": ("good.total", "gives torch.float32 of shape [] as the result of a step; expected is an Outcome."),
    "rows": ("Outcome(good.total.expand(4), {}, {})", "gives torch.float32 of shape [4] as its loss; expected is one"),
    "fixed": ("Outcome(good.total.detach(), {}, {})", "of shape [] without a gradient as its loss; expected is one"),
    "words": ("Outcome(good.total, {'far': 'very'}, {})", "gives str as its term 'far'; expected is one number"),
    "flat": ("Outcome(good.total, {}, {'all': 1})", "gives int as its level 'all'; expected are two tensors"),
    "lost": ("good.totals", "has no attribute 'totals' (outside_gfp.py, line"),
}
BROKEN_ENCODERS = {
    "narrow": ("good[..., :5]", "of shape [2, 24, 5] as tokens of two bodies; expected by its width, num_segments"),
    "silent": ("None", "gives NoneType as tokens of two bodies"),
    "torn": ("good @ good", "a look at two bodies with the encoder 'torn' of the package outside-gfp 1.2 ended in"),
}
TRAIN_EACH = """
import json, sys
from click.testing import CliRunner
from trainer.cli.train import gfp_train

store, out, *chosen = sys.argv[1:]
small = ["--num-frames", "24", "--epochs", "1", "--batch-clips", "4", "--warmup-epochs", "0", "--device", "cpu"]
said = {}
for each in chosen:
    encoder, objective = each.split("/")
    words = [store, "--out", f"{out}/{encoder}-{objective}", "--encoder", encoder, "--objective", objective, *small]
    ended = CliRunner().invoke(gfp_train, words)
    said[each] = [ended.exit_code, " ".join(ended.output.split())]
print(json.dumps(said))
"""


def test_nonsense_of_another_package_ends_a_run_in_words_that_name_the_package(tmp_path: Path) -> None:
    module, points = MODULE, ENTRY_POINTS
    for name, (answer, _) in BROKEN_OBJECTIVES.items():
        module += OBJECTIVE.format(name=name.title(), answer=answer)
        points += f"{name} = outside_gfp:{name.title()}\n"
    points += "[gfp.encoders]\n"
    for name, (answer, _) in BROKEN_ENCODERS.items():
        module += ENCODER.format(name=name.title(), answer=answer)
        points += f"{name} = outside_gfp:{name.title()}\n"
    # A section has one place in the file.
    points = points.replace("[gfp.encoders]\nframes = outside_gfp:Frames\n", "", 1) + "frames = outside_gfp:Frames\n"
    folder = write_package(tmp_path / "site", module=module, entry_points=points)
    write_store(tmp_path / "store")
    expected = {f"frames/{name}": said for name, (_, said) in BROKEN_OBJECTIVES.items()}
    expected |= {f"{name}/alike": said for name, (_, said) in BROKEN_ENCODERS.items()}
    # In a process of its own: here each call checks its annotations, and would find some of it first.
    ended = subprocess.run(
        [sys.executable, "-c", TRAIN_EACH, tmp_path / "store", tmp_path / "runs", *expected],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", ".")])},
    )
    assert ended.returncode == 0, ended.stderr
    for each, (code, said) in json.loads(ended.stdout).items():
        assert code == 1, said
        assert "of the package outside-gfp 1.2" in said
        assert expected[each] in said
        assert "Tell those who make the package, or choose another --" in said


def test_settings_of_an_encoder_and_an_objective_of_one_name_leave_the_objective_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = MODULE.replace(WIDTH, 'alike_weight: int = setting(1, "A.")')
    use(monkeypatch, write_package(tmp_path, module=module))
    assert "frames" in encoders.config_types()
    assert "it has a setting called alike_weight" in objectives.others().left_out["alike"]


def test_names_of_settings_that_commands_have_are_known() -> None:
    of_encoders = {field.name for each in encoders.config_types().values() for field in dataclasses.fields(each)}
    of_objectives = {field.name for each in objectives.config_types().values() for field in dataclasses.fields(each)}
    taken = {str(option.name) for command in (gfp_train, gfp_cost) for option in command.params}
    assert taken - of_encoders <= plugins_module._reserved["encoder"]
    assert taken - of_objectives <= plugins_module._reserved["objective"]
