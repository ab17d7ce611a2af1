"""The commands `gfp gallery` that look after galleries in folders: check, repair, export, import, copy."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gfp_serve.cli.arguments import PATH, folder_argument, gallery_in_folder_option, json_option
from gfp_serve.cli.options import Command
from gfp_serve.cli.printing import num_items, print_json, print_result, say
from gfp_serve.cli.progress import progress
from gfp_serve.errors import GfpError
from gfp_serve.extras import missing

if TYPE_CHECKING:
    from gfp_serve.gallery.care.repair import Findings


@click.command(cls=Command)
@folder_argument
@gallery_in_folder_option
@json_option
def check(folder: Path, gallery: str, as_json: bool) -> None:
    """Verify every byte of a gallery: items, database, derived files.

    Items that an earlier release took and an upsert would refuse today are named too.

    FOLDER is the one given to gfp-serve --gallery; no server may have it open. The exit code is 0 when all is sound, 1
    when something is damaged or would be refused today, 2 when the gallery could not be checked.
    """
    try:
        from gfp_serve.gallery.care.repair import check_gallery
        from gfp_serve.gallery.embedded.folders import existing_folder

        findings = check_gallery(existing_folder(folder, gallery))
    except ModuleNotFoundError as error:
        raise _NotCheckedError(str(missing(error))) from error
    except GfpError as error:
        raise _NotCheckedError(str(error)) from error
    if as_json:
        print_json(values_of(findings))
    elif findings.is_sound:
        say(f"The gallery {gallery} is sound: {num_items(findings.num_items)}, each as it was written.")
    else:
        for problem in (*findings.problems, *(why for _, why in findings.damaged_derived)):
            say(problem)
        for id, parts in findings.cleared:
            for part in parts:
                say(f"Item {id!r}: a repair clears {part}")
        _print_lost(findings)
        say(f"{num_items(findings.num_items)} are sound{_but(findings)}; `gfp gallery repair` keeps them.")
    sys.exit(0 if findings.is_sound else 1)


@click.command(cls=Command)
@folder_argument
@gallery_in_folder_option
@click.option(
    "--encoder-digest",
    metavar="HEX",
    help="Digest of the encoder that filled the gallery. Needed only if the gallery can no longer tell.",
)
@click.option(
    "--embedding-size",
    type=click.IntRange(1),
    help="Length of the gallery's vectors. Needed only if the gallery can no longer tell.",
)
@json_option
def repair(folder: Path, gallery: str, as_json: bool, **known: Any) -> None:
    """Save what is sound of a damaged gallery; say what is lost.

    FOLDER is the one given to gfp-serve --gallery; no server may have it open. Damaged derived files are removed, and
    made again at the next open. Sound items of a damaged database are copied into a new one. The damaged one stays
    beside it as gallery.sqlite.damaged-1. Items that an earlier release took and this one would refuse are kept without
    what is refused, such as a source that ends before it starts.
    """
    from gfp_serve.gallery.care.repair import repair_gallery
    from gfp_serve.gallery.embedded.folders import existing_folder

    done = repair_gallery(existing_folder(folder, gallery), **known)
    findings = done.findings
    if as_json:
        print_json(values_of(findings) | {"kept_as": None if done.kept is None else str(done.kept)})
        return
    if findings.is_sound:
        say(f"The gallery {gallery} is sound: {num_items(findings.num_items)}; nothing was changed.")
        return
    print_repaired(gallery, findings)
    if done.kept is not None:
        say(f"The damaged database was kept as {done.kept}; remove it when you no longer need it.")


@click.command(cls=Command, name="export")
@folder_argument
@click.argument("file", metavar="FILE.parquet|.arrow", type=PATH)
@gallery_in_folder_option
@json_option
def export_items(folder: Path, file: Path, gallery: str, as_json: bool) -> None:
    """Write a gallery's items into a table for other tools. A server may have it open.

    FOLDER is the one given to gfp-serve --gallery. The columns are id, vector (of length 1), label, attributes (JSON),
    source_recording, source_start_s, source_end_s. Needs the extra parquet of gfp-serve.
    """
    from gfp_serve.gallery.care.table_export import export_table
    from gfp_serve.gallery.embedded.folders import existing_folder

    source = existing_folder(folder, gallery)
    with progress() as bars:
        num_rows = export_table(source, file, on_progress=bars.add("export", "items").reach)
    print_result({"exported": num_rows}, f"{file} has {num_items(num_rows)}.", as_json)


@click.command(cls=Command, name="import")
@folder_argument
@click.argument("file", metavar="FILE.parquet|.arrow", type=PATH)
@gallery_in_folder_option
@click.option(
    "--encoder-digest",
    metavar="HEX",
    help="Digest of the encoder that gave the vectors, as `gfp info` shows it; needed if the file does not say it.",
)
@json_option
def import_items(folder: Path, file: Path, gallery: str, encoder_digest: str | None, as_json: bool) -> None:
    """Add the rows of a table to a gallery.

    The gallery is made if it does not exist. FOLDER is the one given to gfp-serve --gallery; no server may have it
    open. The table needs the columns id (text) and vector (numbers of the server's encoder), and may have label,
    attributes (JSON), source_recording, source_start_s and source_end_s. Items with the same ids are replaced, so an
    import that was interrupted can simply be repeated. Needs the extra parquet of gfp-serve.
    """
    from gfp_serve.gallery.care.table_import import import_table

    with progress() as bars:
        on_progress = bars.add("import", "items").reach
        num_rows = import_table(file, folder, gallery, encoder_digest=encoder_digest, on_progress=on_progress)
    print_result({"imported": num_rows}, f"{num_items(num_rows)} of {file} are in {gallery}.", as_json)


@click.command(cls=Command)
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@gallery_in_folder_option
@json_option
def copy(source: str, target: str, gallery: str, as_json: bool) -> None:
    """Copy a gallery's items, for example from a folder to Milvus.

    SRC and DST are what gfp-serve --gallery takes: a folder that no server has open, milvus://HOST:PORT/PREFIX, or
    milvus+lite://PATH.db. The gallery has the same name in both; it is made in DST if it does not exist. Items that DST
    already has are not copied again, so a copy that was interrupted can be continued by the same command.
    """
    from gfp_serve.gallery.care.migration import copy_items, gallery_to_fill
    from gfp_serve.gallery.places import opened_gallery

    with opened_gallery(source, gallery) as original, gallery_to_fill(target, gallery, like=original) as copied:
        total = len(original)
        with progress() as bars:
            num_written = copy_items(original, copied, on_progress=bars.add("copy", "items", total).reach)
    said = f"{num_written} of {total} items were copied; the others were there already."
    print_result({"copied": num_written, "items": total}, said, as_json)


class _NotCheckedError(click.ClickException):
    exit_code = 2  # because 1 says that the gallery is damaged


def print_repaired(gallery: str, findings: "Findings") -> None:
    """Say what a repair cleared and lost, and what is left."""
    for id, parts in findings.cleared:
        for part in parts:
            say(f"Item {id!r} lost {part}")
    _print_lost(findings)
    for path, _ in findings.damaged_derived:
        say(f"{path} was damaged and removed; it is made again at the next open.")
    say(f"The gallery {gallery} now has {num_items(findings.num_items)}, all of them sound.")


def _but(findings: "Findings") -> str:
    return f" but for the parts of {len(findings.cleared)}" if findings.cleared else ""


def _print_lost(findings: "Findings") -> None:
    for id in findings.lost:
        say(f"Item {id!r} is lost.")
    if unnamed := findings.num_lost - len(findings.lost):
        say(f"{num_items(unnamed)} more are lost, and their ids too.")
    if findings.num_motions_lost:
        say(f"The motions of {num_items(findings.num_motions_lost)} are lost.")
    if findings.num_too_many:
        say(
            f"{num_items(findings.num_too_many)} more than expected were found; they may be ones that were deleted "
            f"before."
        )


def values_of(findings: "Findings") -> dict[str, object]:
    """What was found, for programs."""
    return {
        "sound": findings.is_sound,
        "items": findings.num_items,
        "problems": findings.problems,
        "damaged_derived": [str(path) for path, _ in findings.damaged_derived],
        "cleared": {id: list(parts) for id, parts in findings.cleared},
        "lost": findings.num_lost,
        "lost_ids": findings.lost,
        "lost_motions": findings.num_motions_lost,
        "too_many": findings.num_too_many,
    }
