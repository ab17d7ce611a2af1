"""The commands `gfp gallery` that look after galleries in folders: check, repair, snapshots, tables."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Column, Table

from gfp_serve.cli.options import Command, Group
from gfp_serve.cli.progress import progress
from gfp_serve.errors import GfpError
from gfp_serve.items import DEFAULT_GALLERY

if TYPE_CHECKING:
    from gfp_serve.gallery.care.repair import Findings
    from gfp_serve.gallery.embedded.item_store import GalleryState

_PATH = click.Path(path_type=Path)
_folder = click.argument("folder", metavar="FOLDER", type=_PATH)
_name = click.option(
    "--gallery", "name", metavar="NAME", default=DEFAULT_GALLERY, show_default=True, help="Name of the gallery."
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@click.command(cls=Command)
@_folder
@_name
@_as_json
def check(folder: Path, name: str, as_json: bool) -> None:
    """Verify every byte of a gallery: items, database, derived files.

    FOLDER is that of gfp-serve --gallery; no server may have it open. The exit code is 0 when all is sound, 1 when
    something is damaged, 2 when it could not be looked at.
    """
    from gfp_serve.gallery.care.repair import check_gallery
    from gfp_serve.gallery.embedded.folders import existing_folder

    try:
        findings = check_gallery(existing_folder(folder, name))
    except GfpError as error:
        raise _NotLookedAtError(str(error)) from error
    if as_json:
        click.echo(json.dumps(_values_of(findings)))
    elif findings.is_sound:
        click.echo(f"The gallery {name} is sound: {_items(findings.num_items)}, each as it was written.")
    else:
        for problem in (*findings.problems, *(why for _, why in findings.damaged_derived)):
            click.echo(problem)
        _print_lost(findings)
        click.echo(f"{_items(findings.num_items)} are sound; `gfp gallery repair` keeps them.")
    sys.exit(0 if findings.is_sound else 1)


@click.command(cls=Command)
@_folder
@_name
@click.option(
    "--encoder-digest",
    metavar="HEX",
    help="Which encoder filled the gallery; only asked for where the gallery can no longer say it.",
)
@click.option("--embedding-size", type=click.IntRange(1), help="Numbers a vector; the same.")
@_as_json
def repair(folder: Path, name: str, as_json: bool, **known: Any) -> None:
    """Keep all that is sound of a damaged gallery, and say what is lost.

    FOLDER is that of gfp-serve --gallery; no server may have it open. Damaged derived files are removed, and made
    again at the next open. Sound items of a damaged database come into a new one; the old one stays beside it as
    gallery.sqlite.damaged-1.
    """
    from gfp_serve.gallery.care.repair import repair_gallery
    from gfp_serve.gallery.embedded.folders import existing_folder

    done = repair_gallery(existing_folder(folder, name), **known)
    findings = done.findings
    if as_json:
        click.echo(json.dumps(_values_of(findings) | {"kept_as": None if done.kept is None else str(done.kept)}))
        return
    if findings.is_sound:
        click.echo(f"The gallery {name} is sound: {_items(findings.num_items)}; nothing was changed.")
        return
    _print_lost(findings)
    for path, _ in findings.damaged_derived:
        click.echo(f"{path} was damaged and removed; it is made again at the next open.")
    click.echo(f"The gallery {name} now has {_items(findings.num_items)}, all of them sound.")
    if done.kept is not None:
        click.echo(f"The damaged database was kept as {done.kept}; remove it when you need it no more.")


@click.group(cls=Group)
def snapshot() -> None:
    """Copies of a gallery as it was at one moment, each one file with its SHA-256 beside it."""


@snapshot.command(name="create")
@_folder
@click.argument("snapshot_name", metavar="[NAME]", required=False)
@click.option("--out", metavar="FILE", type=_PATH, help="Write this file, instead of one with a NAME.")
@_name
@_as_json
def create_one(folder: Path, snapshot_name: str | None, out: Path | None, name: str, as_json: bool) -> None:
    """Take a snapshot of a gallery; a server may have it open.

    FOLDER is that of gfp-serve --gallery. A snapshot with a NAME lies in FOLDER/_snapshots/GALLERY/NAME.sqlite, and
    stays there when the gallery is dropped. Every item is verified: a damaged gallery is refused.
    """
    from gfp_serve.gallery.care.backup import create_snapshot, snapshot_file
    from gfp_serve.gallery.embedded.folders import existing_folder

    if (snapshot_name is None) == (out is None):
        raise click.UsageError("give either a NAME for the snapshot, or a file with --out.")
    file = snapshot_file(folder, name, snapshot_name) if out is None else out  # type: ignore[arg-type]
    state = create_snapshot(existing_folder(folder, name), file)
    if as_json:
        click.echo(json.dumps(_snapshot_values(file, name, state)))
    else:
        click.echo(f"{file} has the {_items(state.num_items)} of the gallery {name}, generation {state.generation}.")


@snapshot.command(name="list")
@_folder
@_as_json
def list_all(folder: Path, as_json: bool) -> None:
    """Show the snapshots of all galleries in FOLDER; they are not verified."""
    from gfp_serve.gallery.care.backup import list_snapshots

    right = [Column(name, justify="right") for name in ("items", "generation", "MB")]
    table = Table("gallery", "name", "created (UTC)", *right, box=None)
    for each in list_snapshots(folder):
        if as_json:
            values = {"name": each.name, "created": each.created.isoformat(), "num_bytes": each.num_bytes}
            click.echo(json.dumps(_snapshot_values(each.file, each.gallery, each.state) | values))
            continue
        known = ("damaged", "") if each.state is None else (str(each.state.num_items), str(each.state.generation))
        table.add_row(each.gallery, each.name, f"{each.created:%Y-%m-%d %H:%M}", *known, f"{each.num_bytes / 1e6:.1f}")
    if not as_json:
        Console().print(table)
        click.echo(f"Each lies in {folder / '_snapshots' / 'GALLERY' / 'NAME.sqlite'}.")


@snapshot.command()
@click.argument("file", metavar="FILE", type=_PATH)
@_as_json
def verify(file: Path, as_json: bool) -> None:
    """Verify a snapshot: its SHA-256, its database and every item. The exit code is 1 when it is damaged."""
    from gfp_serve.gallery.care.backup import verify_snapshot

    state = verify_snapshot(file)
    if as_json:
        click.echo(json.dumps(_snapshot_values(file, None, state)))
    else:
        click.echo(f"{file} is sound: {_items(state.num_items)}, generation {state.generation}.")


@snapshot.command()
@click.argument("file", metavar="FILE", type=_PATH)
@_folder
@_name
@_as_json
def restore(file: Path, folder: Path, name: str, as_json: bool) -> None:
    """Make a gallery from a snapshot, once it is verified.

    FOLDER is that of gfp-serve --gallery, which shows the gallery from its next start on. The gallery must not be there
    yet: nothing is replaced.
    """
    from gfp_serve.gallery.care.backup import restore_snapshot

    state = restore_snapshot(file, folder, name)
    if as_json:
        click.echo(json.dumps(_snapshot_values(file, name, state)))
    else:
        click.echo(f"The gallery {name} has the {_items(state.num_items)} of {file}, generation {state.generation}.")


@click.command(cls=Command)
@_folder
@click.argument("file", metavar="FILE.parquet|.arrow", type=_PATH)
@_name
@_as_json
def export(folder: Path, file: Path, name: str, as_json: bool) -> None:
    """Write a gallery's items into a table for other tools; a server may have it open.

    FOLDER is that of gfp-serve --gallery. Columns: id, vector (of length 1), label, attributes (JSON),
    source_recording, source_start_s, source_end_s. Needs the extra 'parquet'.
    """
    from gfp_serve.gallery.care.tables import export_table
    from gfp_serve.gallery.embedded.folders import existing_folder

    source = existing_folder(folder, name)
    with progress() as bars:
        num_rows = export_table(source, file, on_progress=bars.add("export", "items").reach)
    click.echo(json.dumps({"exported": num_rows}) if as_json else f"{file} has {_items(num_rows)}.")


@click.command(cls=Command, name="import")
@_folder
@click.argument("file", metavar="FILE.parquet|.arrow", type=_PATH)
@_name
@click.option(
    "--encoder-digest",
    metavar="HEX",
    help="Which encoder gave the vectors, where the file does not say it, as `gfp info` shows it.",
)
@_as_json
def import_items(folder: Path, file: Path, name: str, encoder_digest: str | None, as_json: bool) -> None:
    """Bring the rows of a table into a gallery, which is made if it is not there.

    FOLDER is that of gfp-serve --gallery; no server may have it open. Needed are the columns id (text) and vector
    (numbers of the server's encoder); label, attributes (JSON), source_recording, source_start_s and source_end_s may
    be there. Items of the same ids are replaced: an import that was interrupted is just made again. Needs
    the extra 'parquet'.
    """
    from gfp_serve.gallery.care.tables import import_table

    with progress() as bars:
        on_progress = bars.add("import", "items").reach
        num_rows = import_table(file, folder, name, encoder_digest=encoder_digest, on_progress=on_progress)
    click.echo(json.dumps({"imported": num_rows}) if as_json else f"{_items(num_rows)} of {file} are in {name}.")


@click.command(cls=Command)
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.option("--gallery", "name", default=DEFAULT_GALLERY, show_default=True, help="Name of the gallery, in both.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a sentence.")
def copy(source: str, target: str, name: str, as_json: bool) -> None:
    """Copy a gallery's items from one place to another, such as from a folder to Milvus.

    SRC and DST are what gfp-serve --gallery takes: a folder that no server has open, milvus://HOST:PORT/PREFIX, or
    milvus+lite://PATH.db. A gallery that DST does not have is made. What DST holds already stays, so that the same
    command goes on with a copy that was interrupted.
    """
    from gfp_serve.gallery.care.migration import copy_items, gallery_to_fill
    from gfp_serve.gallery.places import opened_gallery

    with opened_gallery(source, name) as original, gallery_to_fill(target, name, like=original) as copied:
        total = len(original)
        with progress() as bars:
            num_written = copy_items(original, copied, on_progress=bars.add("copy", "items", total).reach)
    if as_json:
        click.echo(json.dumps({"copied": num_written, "items": total}))
    else:
        click.echo(f"{num_written} of {total} items were copied; the others were there already.")


COMMANDS = (check, repair, snapshot, export, import_items, copy)


class _NotLookedAtError(click.ClickException):
    exit_code = 2  # 1 says that the gallery is damaged


def _print_lost(findings: "Findings") -> None:
    for id in findings.lost:
        click.echo(f"Item {id!r} is lost.")
    if unnamed := findings.num_lost - len(findings.lost):
        click.echo(f"{_items(unnamed)} more are lost, and their ids too.")
    if findings.num_too_many:
        click.echo(
            f"{_items(findings.num_too_many)} more than expected were found; they may be ones that were deleted before."
        )


def _values_of(findings: "Findings") -> dict[str, object]:
    return {
        "sound": findings.is_sound,
        "items": findings.num_items,
        "problems": findings.problems,
        "damaged_derived": [str(path) for path, _ in findings.damaged_derived],
        "lost": findings.num_lost,
        "lost_ids": findings.lost,
        "too_many": findings.num_too_many,
    }


def _snapshot_values(file: Path, name: str | None, state: "GalleryState | None") -> dict[str, object]:
    known: dict[str, object] = {"file": str(file)} if name is None else {"file": str(file), "gallery": name}
    if state is None:
        return known
    return known | {
        "encoder_digest": state.encoder_digest,
        "embedding_size": state.embedding_size,
        "items": state.num_items,
        "generation": state.generation,
    }


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count:,} items"
