"""`gfp-data`: recordings into a clip store, and a look at what is in a store or a recording."""

import difflib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from gfp_serve.cli.options import Group, options_from
from gfp_serve.errors import InvalidRequestError
from gfp_serve.formats import Clip, find_files, ntu, read_clips
from gfp_serve.preprocess import MODEL_LAYOUT, CleanConfig
from trainer.data.description import describe_clips, describe_store
from trainer.data.importing import (
    ImportConfig,
    find_sources,
    import_recordings,
    total_bytes,
)
from trainer.data.reading import Problem, ReadConfig
from trainer.data.store import ClipStore, is_store

# Clips that `plot` draws when none is named.
DEFAULT_STRIPS = 8

_PATH = click.Path(path_type=Path)
_PICTURES = (".png", ".pdf", ".svg")


@click.group(cls=Group, name="gfp-data")
def gfp_data() -> None:
    """Import recordings into a clip store, and look at stores and recordings."""


@gfp_data.command("import", no_args_is_help=True)
@click.argument("paths", metavar="SOURCE...", nargs=-1, required=True, type=_PATH)
@click.option("--out", required=True, metavar="STORE", type=_PATH, help="Folder to write.")
@options_from(CleanConfig, into="cleaning")
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
@click.option(
    "--protocol",
    type=click.Choice(["x-sub", "x-view", "x-set"]),
    help="Split the clips that know it by this protocol. [default: the usual one of a data set, x-sub for NTU RGB+D]",
)
@click.option(
    "--leave-out",
    "lists",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Leave out the clips named in this text file, one a line; may be given several times. The 535 recordings of "
    "NTU RGB+D 120 that its authors list as incomplete are always left out.",
)
@click.option(
    "--compat",
    is_flag=True,
    help="Read NTU RGB+D files as published pipelines do, with their mistakes: frames without anybody are cut out, and "
    "a body that vanishes and returns is moved together.",
)
@click.option(
    "--second-body",
    type=click.Choice(["absent", "copy"]),
    default="absent",
    show_default=True,
    help="What a clip with one body has as its second: nothing, or a copy as in published NTU RGB+D 120 files.",
)
@click.option(
    "--num-workers",
    type=click.IntRange(min=1),
    metavar="INTEGER",
    help="Processes that read; the store is the same for any number. [default: one a processor core]",
)
@click.option("--strict", is_flag=True, help="Write nothing and fail when any file or clip cannot be used.")
@click.option("--overwrite", is_flag=True, help="Replace the store if it exists.")
def import_command(
    paths: Sequence[Path],
    out: Path,
    cleaning: CleanConfig,
    test_subjects: Sequence[str],
    licences: Sequence[str],
    protocol: str | None,
    lists: Sequence[Path],
    compat: bool,
    second_body: Literal["absent", "copy"],
    num_workers: int | None,
    strict: bool,
    overwrite: bool,
) -> None:
    """Clean recordings and store them for training.

    A SOURCE is a recording or a folder of recordings: clip files and data sets as CTR-GCN keeps them (.npz), NTU RGB+D
    (.skeleton), PKU-MMD (.txt), annotations of PYSKL and MMAction2 (.pkl), motion capture (.bvh). Its clips are called
    after the file, or after the folder for .skeleton, .txt and .bvh files. Damaged files and clips in which nobody is
    seen are named and left out. The store appears complete or not at all; an import that was interrupted goes on where
    it stopped when the command is repeated.
    """
    _check_form(test_subjects, "/", "--test-subject", "SOURCE/SUBJECT")
    _check_form(licences, "=", "--licence", "SOURCE=TEXT")
    sources = find_sources(paths)
    console = Console(stderr=True)

    def report(problem: Problem) -> None:
        console.print(f"left out: {problem}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    config = ImportConfig(
        read=ReadConfig(cleaning=cleaning, as_published=compat, second_body=second_body),
        protocol=protocol,
        test_subjects=frozenset(test_subjects),
        licences=dict(licence.split("=", 1) for licence in licences),
        leave_out=ntu.incomplete_recordings().union(*map(_names_in, lists)),
        strict=strict,
    )
    with _progress(console) as progress:
        task = progress.add_task("import", total=total_bytes(sources))
        try:
            summary = import_recordings(
                sources,
                out,
                config,
                num_workers=num_workers or len(os.sched_getaffinity(0)),
                overwrite=overwrite,
                advance=lambda num_bytes: progress.advance(task, num_bytes),
                report=report,
            )
        except KeyboardInterrupt:
            console.print("interrupted; repeat the command to go on where it stopped.")
            raise
    if summary.num_resumed:
        console.print(f"{summary.num_resumed} of the files were done by an earlier, interrupted import.")
    click.echo(f"{out}: {summary}.")


@gfp_data.command("info", no_args_is_help=True)
@click.argument("path", metavar="STORE|FILE", type=_PATH)
@click.option("--verify", is_flag=True, help="Read a store's content and compare it with its digest.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def info_command(path: Path, verify: bool, as_json: bool) -> None:
    """Say what is in a store or in recordings."""
    if is_store(path):
        store = ClipStore.open(path)
        if verify:
            store.verify()
        facts = describe_store(store)
    elif verify:
        raise click.UsageError(f"--verify is for stores, and {path} is none: `gfp-data import` makes one.")
    else:
        facts = describe_clips(_clips(path))
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    console = Console()
    tables = {name: facts.pop(name, None) for name in ("sources", "classes")}
    value_column = Column("value", overflow="fold")
    overview = Table("name", value_column, title=Text(str(path)), show_header=False, title_justify="left")
    for name, value in facts.items():
        overview.add_row(name.replace("_", " "), Text(_words(value)))
    console.print(overview)
    if tables["sources"]:
        sources = Table("source", "clips", "split by", "licence", "sha256")
        for source in tables["sources"]:
            licence = source["licence"] or "not stated"
            split_by = source["protocol"] or "the file"
            cells = (source["name"], str(source["num_clips"]), split_by, licence, source["sha256"][:12])
            sources.add_row(*map(Text, cells))
        console.print(sources)
    if tables["classes"]:
        classes = Table("class", "clips")
        for name, count in tables["classes"].items():
            classes.add_row(Text(name), str(count))
        console.print(classes)


@gfp_data.command("plot", no_args_is_help=True)
@click.argument("path", metavar="STORE|FILE", type=_PATH)
@click.option("--out", required=True, metavar="PICTURE", type=_PATH, help="Picture to write, .png, .pdf or .svg.")
@click.option(
    "--clip",
    "names",
    metavar="NAME",
    multiple=True,
    help=f"Clip to draw; may be given several times. [default: one of each of the first {DEFAULT_STRIPS} classes]",
)
def plot_command(path: Path, out: Path, names: Sequence[str]) -> None:
    """Draw clips of a store or of recordings as strips of poses.

    Left limbs are blue, right limbs orange; each clip is turned to its front.
    """
    from trainer.figures import Strip, draw_strips

    if out.suffix not in _PICTURES:
        raise click.BadParameter(f"{out} must end in {', '.join(_PICTURES)}.", param_hint="--out")
    if is_store(path):
        store = ClipStore.open(path)
        labels = [None if label < 0 else store.class_names[label] for label in store.labels]
        chosen = _choose([str(name) for name in store.names], labels, names)
        drawn = [(str(store.names[i]), labels[i], store.clip(i), MODEL_LAYOUT, float(store.fps[i])) for i in chosen]
    else:
        clips = _clips(path)
        chosen = _choose([clip.name for clip in clips], [clip.label for clip in clips], names)
        drawn = [(c.name, c.label, c.sequence, c.layout, c.fps) for c in (clips[index] for index in chosen)]
    strips = [
        Strip(title=name if label is None else f"{name}: {label}", sequence=sequence, layout=layout, fps=fps)
        for name, label, sequence, layout, fps in drawn
    ]
    draw_strips(strips).savefig(out, dpi=150)
    click.echo(f"{out}: {len(strips)} clips.")


def _clips(path: Path) -> list[Clip]:
    return [clip for file in find_files(path) for clip in read_clips(file)]


def _names_in(path: Path) -> list[str]:
    """The lines that are one word: the lists in circulation begin with a sentence or two."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [words[0] for words in map(str.split, lines) if len(words) == 1]


def _choose(names: Sequence[str], labels: Sequence[str | None], wanted: Sequence[str]) -> list[int]:
    if not wanted:
        first_of_class = {label: index for index, label in reversed(list(enumerate(labels)))}
        return sorted(first_of_class.values())[:DEFAULT_STRIPS]
    for name in wanted:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=3, cutoff=0.0)
            raise InvalidRequestError(f"there is no clip {name!r}; similar names are {', '.join(close)}.")
    return [names.index(name) for name in wanted]


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_words(part)}" for name, part in value.items())
    return ", ".join(map(_words, value)) if isinstance(value, list) else str(value)


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
        disable=not console.is_terminal,
    )


def _check_form(values: Sequence[str], separator: str, option: str, form: str) -> None:
    for value in values:
        if separator not in value:
            raise click.BadParameter(f"{value!r} must look like {form}.", param_hint=option)
