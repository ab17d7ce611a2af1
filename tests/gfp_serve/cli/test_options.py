import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner, Result

from gfp_serve.cli.options import Command, Group, options_from
from gfp_serve.errors import GalleryError
from gfp_serve.settings import choice_of, setting, settings_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    mask_ratio: float = setting(0.9, "Share of tokens that are hidden.")

    def __post_init__(self) -> None:
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"--mask-ratio is {self.mask_ratio}; it must lie between 0 and 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    num_epochs: int = setting(20, "Passes over the data.")
    inner: Inner = settings_of(Inner)
    mirror: bool = setting(False, "Swap left and right.")
    device: Literal["cpu", "cuda"] = setting("cpu", "Where to compute.")
    out: Path = setting(Path("run"), "Folder to write.")
    limit: int | None = setting(None, "At most this many clips.")
    size_mib: int = setting(4, "Size.", parse=click.IntRange(1, 8))
    step: int = 7  # no setting, no flag


PRESETS = {"small": Outer(num_epochs=2, inner=Inner(mask_ratio=0.5), mirror=True)}


def configured(*arguments: str, presets: dict[str, Outer] | None = None) -> Any:
    """Return the config that a command gets for these arguments."""
    got = []

    @click.command()
    @options_from(Outer, presets=presets)
    def command(config: Outer) -> None:
        got.append(config)

    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    if result.exception:
        raise result.exception
    return got[0]


def run(*arguments: str) -> Result:
    @click.command()
    @click.argument("name")
    @options_from(Outer, presets=PRESETS)
    @click.option("--twice", is_flag=True, help="Do it twice.")
    def command(name: str, twice: bool, config: Outer) -> None:
        """Greet somebody."""
        click.echo(f"{name} {twice} {config.num_epochs}")

    return CliRunner().invoke(command, arguments)


def test_without_arguments_the_config_has_its_defaults():
    assert configured() == Outer()


def test_every_setting_is_an_option_of_its_type():
    arguments = "--num-epochs 3 --mask-ratio 0.25 --mirror --device cuda --out else/where --limit 5 --size-mib 8"
    assert configured(*arguments.split()) == Outer(
        num_epochs=3,
        inner=Inner(mask_ratio=0.25),
        mirror=True,
        device="cuda",
        out=Path("else/where"),
        limit=5,
        size_mib=8,
    )


def test_a_preset_gives_the_values_that_no_option_names():
    assert configured("--preset", "small", presets=PRESETS) == PRESETS["small"]
    assert configured("--preset", "small", "--no-mirror", presets=PRESETS) == Outer(
        num_epochs=2, inner=Inner(mask_ratio=0.5)
    )


def test_an_option_that_names_the_default_overrides_a_preset():
    config = configured("--preset", "small", "--num-epochs", "20", "--mask-ratio", "0.9", presets=PRESETS)
    assert config == Outer(mirror=True)


def test_without_a_preset_the_defaults_hold():
    assert configured(presets=PRESETS) == Outer()


@pytest.mark.parametrize("preset", [[], ["--preset", "small"]], ids=["defaults", "preset"])
def test_a_value_that_the_config_refuses_is_one_line_and_exit_code_2(preset):
    result = run("Ada", "--mask-ratio", "1.5", *preset)
    assert result.exit_code == 2
    assert result.output.endswith("Error: --mask-ratio is 1.5; it must lie between 0 and 1.\n")


@pytest.mark.parametrize(
    "arguments",
    [["--num-epochs", "many"], ["--device", "tpu"], ["--size-mib", "9"], ["--step", "8"], ["--preset", "big"]],
)
def test_what_click_refuses_has_exit_code_2(arguments):
    assert run("Ada", *arguments).exit_code == 2


def test_other_arguments_and_options_reach_the_command():
    assert run("Ada", "--twice", "--num-epochs", "4").output == "Ada True 4\n"


def test_help_shows_the_commands_text_and_each_setting_once_in_order_with_its_default():
    text = " ".join(run("--help").output.split())
    assert "Greet somebody." in text
    shown = [
        "--preset [small] Named set of values; other options override it.",
        "--num-epochs INTEGER Passes over the data. [default: 20]",
        "--mask-ratio FLOAT Share of tokens that are hidden. [default: 0.9]",
        "--mirror / --no-mirror Swap left and right. [default: no-mirror]",
        "--device [cpu|cuda] Where to compute. [default: cpu]",
        "--out PATH Folder to write. [default: run]",
        "--limit INTEGER At most this many clips.",
        "--size-mib INTEGER RANGE Size. [default: 4; 1<=x<=8]",
    ]
    places = [text.index(line) for line in shown]
    assert places == sorted(places)
    assert "[default: None]" not in text


def test_an_error_of_the_library_is_one_line_and_exit_code_1():
    @click.group(cls=Group)
    def tool() -> None: ...

    @tool.command(cls=Command)
    def fill() -> None:
        raise GalleryError("the gallery g is damaged; restore it.")

    result = CliRunner().invoke(tool, ["fill"])
    assert (result.exit_code, result.output) == (1, "Error: the gallery g is damaged; restore it.\n")


def test_a_path_that_cannot_be_used_is_one_line_and_exit_code_1(tmp_path):
    @click.command(cls=Command)
    def write() -> None:
        (tmp_path / "nowhere" / "file").write_text("")

    result = CliRunner().invoke(write)
    path = tmp_path / "nowhere" / "file"
    assert (result.exit_code, result.output) == (1, f"Error: {path} cannot be used: No such file or directory.\n")


def test_an_operating_system_error_without_a_path_is_not_blamed_on_the_caller():
    @click.command(cls=Command)
    def compute() -> None:
        raise OSError("out of something")

    assert isinstance(CliRunner().invoke(compute).exception, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    top_k: int = setting(5, "Neighbours.")
    weight: float = setting(1.0, "Weight of a vote.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Far:
    top_k: int = setting(9, "Neighbours.")
    reach: float = setting(0.5, "How far.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    way: Any = choice_of(lambda: {"near": Near, "far": Far}, Near, "How to search.")


CHOICES = {"many": Chosen(way=Near(top_k=50, weight=2.0))}


def choose(*arguments: str) -> Any:
    @click.command()
    @options_from(Chosen, presets=CHOICES)
    def command(config: Chosen) -> None:
        click.echo(repr(config.way))

    return CliRunner().invoke(command, arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", Near()),
        ("--way far", Far()),
        ("--way far --reach 2", Far(reach=2.0)),
        ("--top-k 3", Near(top_k=3)),
        ("--way far --top-k 5", Far(top_k=5)),
        ("--preset many --weight 3", Near(top_k=50, weight=3.0)),
        # A value of the preset is kept if the other way has that setting.
        ("--preset many --way far", Far(top_k=50)),
    ],
)
def test_one_of_several_configs_is_chosen_by_name_and_set_by_its_own_settings(arguments: str, expected: Any):
    assert choose(*arguments.split()).output == f"{expected}\n"


def test_a_setting_of_another_choice_is_refused_with_the_choice_it_belongs_to():
    result = choose("--way", "far", "--weight", "3")
    assert result.exit_code == 2
    assert "--weight has no meaning for --way far; it is a setting of near." in result.output


def test_help_says_which_choice_a_setting_belongs_to_and_defaults_that_differ():
    text = " ".join(choose("--help").output.split())
    assert "--way [near|far] How to search. [default: near]" in text
    assert "--top-k INTEGER Neighbours. [default of far 9] [default: 5]" in text
    assert "--reach FLOAT How far. [far] [default: 0.5]" in text


@dataclass(frozen=True, slots=True, kw_only=True)
class Headed:
    epochs: int = setting(20, "Passes.")
    way: Any = choice_of(lambda: {"near": Near, "far": Far}, Near, "How to search.", heading="Search")
    inner: Inner = settings_of(Inner, heading="Masks")
    seed: int = setting(0, "Seed.", heading="Chance")


@pytest.mark.parametrize("kind", [Command, Group])
def test_options_stand_under_their_headings_and_those_without_one_come_first(kind: type[click.Command]) -> None:
    @click.command(cls=kind)
    @click.argument("file")
    @options_from(Headed)
    def command(file: str, config: Headed) -> None:
        """Do something."""

    if isinstance(command, click.Group):
        command.add_command(click.Command("part", help="A part."))
    _, *sections = CliRunner().invoke(command, ["--help"]).output.split("\n\n  Do something.")[1].split("\n\n")
    flags = {
        section.splitlines()[0]: re.findall(r"^  (--[a-z-]+)", section, flags=re.MULTILINE) for section in sections
    }
    own = {field.name for each in (Near, Far) for field in dataclasses.fields(each)}
    assert flags.pop("Commands:", []) == []
    assert list(flags) == ["Options:", "Search:", "Masks:", "Chance:"]
    assert flags["Options:"] == ["--epochs", "--way", "--help"]
    assert "FILE" not in sections[0]
    assert {flag[2:].replace("-", "_") for flag in flags["Search:"]} == own
    assert (flags["Masks:"], flags["Chance:"]) == (["--mask-ratio"], ["--seed"])
    assert "A part." in sections[-1] if isinstance(command, click.Group) else "A part." not in sections[-1]
