import math
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from gfp_serve.cli.serve import gfp_serve
from gfp_serve.cli.settings_file import settings_as_toml
from gfp_serve.config import ServeConfig


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[ServeConfig]:
    configs: list[ServeConfig] = []

    async def note(config: ServeConfig, _announce: Any) -> None:
        configs.append(config)

    monkeypatch.setattr("gfp_serve.server_process.serve", note)
    return configs


def invoke(*words: object, **environment: str) -> Result:
    return CliRunner().invoke(gfp_serve, [str(word) for word in words], env=environment)


def test_only_the_program_ends_its_process_while_an_index_is_built(
    seen: list[ServeConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gfp_serve.gallery.embedded.background.is_building", lambda: True)
    assert invoke("--port", 0).exit_code == 0  # the command, in the process of this test
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    monkeypatch.setattr("sys.argv", ["gfp-serve", "--port", "0"])
    gfp_serve()  # as the program calls it
    assert ended == [0]
    assert len(seen) == 2


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(
    seen: list[ServeConfig], tmp_path: Path
) -> None:
    file = tmp_path / "serve.toml"
    file.write_text('port = 1\nmax_top_k = 2\ndrain_s = 3\ndevice = "cpu"\n')
    result = invoke("--config", file, "--port", "9", GFP_SERVE_PORT="8", GFP_SERVE_MAX_TOP_K="7")
    assert result.exit_code == 0, result.output
    (config,) = seen
    assert (config.port, config.limits.max_top_k, config.drain_s, config.device) == (9, 7, 3.0, "cpu")
    assert config.max_calls == ServeConfig().max_calls


def test_the_file_can_be_named_by_the_environment(seen: list[ServeConfig], tmp_path: Path) -> None:
    (tmp_path / "serve.toml").write_text("insecure = true\n")
    assert invoke(GFP_SERVE_CONFIG=str(tmp_path / "serve.toml")).exit_code == 0
    assert seen[0].insecure


def test_the_output_of_config_is_a_file_that_gives_the_same_settings(seen: list[ServeConfig], tmp_path: Path) -> None:
    asked = ("--gallery", 'a "quoted" folder', "--drain-s", "0.5", "--port", "0")
    printed = invoke(*asked, "config", GFP_SERVE_MAX_CALLS="5")
    assert printed.exit_code == 0, printed.output
    assert "From a flag." in printed.output
    assert "From the environment." in printed.output
    assert not seen
    file = tmp_path / "serve.toml"
    file.write_text(printed.output)
    assert set(tomllib.loads(printed.output)) >= {"port", "gallery", "max_item_bytes"}
    assert invoke("--config", file).exit_code == 0
    assert invoke(*asked, GFP_SERVE_MAX_CALLS="5").exit_code == 0
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("prot = 1", "sets prot, which is not a setting; did you mean port?"),
        ("zzz = 1", "which is not a setting; gfp-serve config prints all settings"),
        ("config = 'x'", "which is not a setting"),
        ("port = '1'", 'sets port to "1"; expected a whole number, e.g. 8'),
        ("port = true", "sets port to true; expected a whole number"),
        ("insecure = 1", "sets insecure to 1; expected true or false"),
        ("drain_s = false", "expected a number, e.g. 2.5"),
        ("[limits]\nmax_frames = 1", "sets limits, which is not a setting"),
        ("host = [1]", "expected a text"),
        ("port = ", "is not TOML"),
        ("device = 'tpu'", "'tpu' is not one of"),
        ("port = 99999", "--port is 99999"),
    ],
)
def test_a_wrong_setting_in_a_file_is_refused_by_name(
    content: str, said: str, seen: list[ServeConfig], tmp_path: Path
) -> None:
    (tmp_path / "serve.toml").write_text(content)
    result = invoke("--config", tmp_path / "serve.toml")
    assert result.exit_code != 0
    assert said in " ".join(result.output.split())
    assert not seen


def test_numbers_without_end_and_settings_without_a_value_are_written_as_toml_has_them() -> None:
    values = {"most": math.inf, "least": -math.inf, "unknown": math.nan, "usual": 2.5, "absent": None}
    command = click.Command("any", params=[click.Option([f"--{name}"], help="A number.") for name in values])
    read = tomllib.loads("\n".join(settings_as_toml(click.Context(command), values)))
    assert math.isnan(read.pop("unknown"))
    assert read == {"most": math.inf, "least": -math.inf, "usual": 2.5}


def test_a_file_that_is_missing_or_not_text_is_reported_in_one_line(seen: list[ServeConfig], tmp_path: Path) -> None:
    assert "No such file" in invoke("--config", tmp_path / "none.toml").output
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    assert "is not TOML" in invoke("--config", tmp_path / "binary.toml").output
    assert not seen
