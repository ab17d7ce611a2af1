"""`gfp-data`: recordings into a clip store, and a look at what is in a store or a recording."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from gfp_serve.errors import GfpError
from gfp_serve.options import options_from, setting
from gfp_serve.preprocess import PreprocessConfig
from trainer.importing import ImportConfig, find_sources, import_recordings, total_bytes


class _DataGroup(click.Group):
    """Turns the mistakes of a caller into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GfpError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_DataGroup, name="gfp-data")
def gfp_data() -> None:
    """Import recordings into a clip store, and look at stores and recordings."""


_HELP = {field.name: field.metadata["help"] for field in fields(PreprocessConfig)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _CleanConfig:
    """The part of `PreprocessConfig` that changes stored clips; the rest is chosen when they are used."""

    align_view: bool = setting(PreprocessConfig().align_view, _HELP["align_view"])
    scale_torso: bool = setting(PreprocessConfig().scale_torso, _HELP["scale_torso"])


@gfp_data.command("import", no_args_is_help=True)
@click.argument("paths", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, metavar="STORE", type=click.Path(path_type=Path), help="Folder to write.")
@options_from(_CleanConfig)
@click.option(
    "--test-subject",
    "test_subjects",
    metavar="SOURCE/SUBJECT",
    multiple=True,
    help="Mark this subject's clips as test and the other clips of its source as train, whatever the file says; may be "
    "given several times.",
)
@click.option(
    "--licence",
    "licences",
    metavar="SOURCE=TEXT",
    multiple=True,
    help="Licence of a source, kept with the store and with what is trained on it; may be given several times.",
)
@click.option("--strict", is_flag=True, help="Write nothing and fail when any file or clip cannot be used.")
@click.option("--overwrite", is_flag=True, help="Replace the store if it exists.")
def import_command(
    paths: Sequence[Path],
    out: Path,
    config: _CleanConfig,
    test_subjects: Sequence[str],
    licences: Sequence[str],
    strict: bool,
    overwrite: bool,
) -> None:
    """Clean recordings and store them for training.

    A SOURCE is a clip file (.npz), an NTU RGB+D file (.skeleton), or a folder of such files. Its clips are called
    after the file, or after the folder for .skeleton files. Damaged files and clips in which nobody is seen are named
    and left out. The store appears complete or not at all.
    """
    for licence in licences:
        if "=" not in licence:
            raise click.BadParameter(f"{licence!r} must look like SOURCE=TEXT.", param_hint="--licence")
    sources = find_sources(paths)
    console = Console(stderr=True)
    with _progress(console) as progress:
        task = progress.add_task("import", total=total_bytes(sources))
        summary = import_recordings(
            sources,
            out,
            ImportConfig(
                preprocess=PreprocessConfig(align_view=config.align_view, scale_torso=config.scale_torso),
                test_subjects=frozenset(test_subjects),
                licences=dict(licence.split("=", 1) for licence in licences),
                strict=strict,
            ),
            overwrite=overwrite,
            advance=lambda num_bytes: progress.advance(task, num_bytes),
            report=lambda problem: console.print(
                f"left out: {problem}", style="yellow", markup=False, highlight=False, soft_wrap=True
            ),
        )
    click.echo(f"{out}: {summary}.")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
