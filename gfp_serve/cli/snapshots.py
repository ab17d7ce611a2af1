"""The commands `gfp gallery snapshot`: copies of galleries, of a running server or in folders."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from rich.table import Column

from gfp_serve.cli.arguments import PATH, Connect, gallery_in_folder_option, json_option, talks_to_server
from gfp_serve.cli.care import print_repaired, values_of
from gfp_serve.cli.options import Group
from gfp_serve.cli.printing import Listing, num_items, print_json, print_result, say
from gfp_serve.cli.progress import progress
from gfp_serve.client import Snapshot
from gfp_serve.items import DEFAULT_GALLERY

if TYPE_CHECKING:
    from gfp_serve.gallery.care.backup import SnapshotFile
    from gfp_serve.gallery.embedded.schema import GalleryState

_NAME_OF_SNAPSHOT = click.argument("name", metavar="NAME")


@click.group(cls=Group)
def snapshot() -> None:
    """Copies of a gallery as it was at one moment.

    Without a FOLDER, a running server makes and keeps them; if it asks for tokens, the token needs the role admin. With
    a FOLDER, which is the one given to gfp-serve --gallery, the command works on its files. Either way a snapshot is
    FOLDER/_snapshots/GALLERY/NAME.sqlite, with its SHA-256 beside it, and stays there when the gallery is dropped.
    """


@snapshot.command()
@click.argument("folder", metavar="[FOLDER]", type=PATH, required=False)
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--out", metavar="FILE", type=PATH, help="With a FOLDER: write this file, instead of one with a NAME.")
@gallery_in_folder_option
@talks_to_server
def create(
    folder: Path | None, name: str | None, out: Path | None, gallery: str, connect: Connect, as_json: bool
) -> None:
    """Take a snapshot of a gallery, while calls go on. Every item is verified.

    NAME alone asks the server. It reads all of the gallery, so a large one may need a longer --timeout-s. With
    FOLDER, a server may have it open. A damaged gallery gives no snapshot.
    """
    if folder is None or (name is not None and out is not None):
        raise click.UsageError("give a NAME for the snapshot; or FOLDER and NAME; or FOLDER and a file with --out.")
    if name is None and out is None:
        if folder.is_dir():
            raise click.UsageError(f"beside {folder}, give either a NAME for the snapshot, or a file with --out.")
        with connect() as client:
            made = client.create_snapshot(str(folder), gallery=gallery)
        print_result(_values(made), f"The server has the snapshot {_about(made)}.", as_json)
        return
    _refuse_address()
    from gfp_serve.gallery.care.backup import create_snapshot, snapshot_file
    from gfp_serve.gallery.embedded.folders import existing_folder

    file = snapshot_file(folder, gallery, name) if out is None else out  # type: ignore[arg-type]
    state = create_snapshot(existing_folder(folder, gallery), file)
    said = f"{file} has the {num_items(state.num_items)} of the gallery {gallery}, generation {state.generation}."
    print_result(_values_of_file(file, gallery, state), said, as_json)


@snapshot.command(name="list")
@click.argument("folder", metavar="[FOLDER]", type=PATH, required=False)
@click.option("--gallery", metavar="NAME", help="Only those of this gallery.  [default: of all]")
@talks_to_server
def list_all(folder: Path | None, gallery: str | None, connect: Connect, as_json: bool) -> None:
    """Show the snapshots of the server or in FOLDER. They are not verified."""
    right = [Column(name, justify="right") for name in ("items", "generation", "MB")]
    listing = Listing(("gallery", "name", "created (UTC)", *right), as_json)
    if folder is None:
        with connect() as client:
            for each in client.list_snapshots():
                if gallery not in (None, each.gallery):
                    continue
                state = (str(each.num_items), str(each.generation)) if _is_usable(each) else ("damaged", "")
                listing.add(_values(each), [_row(each, state)])
        listing.print_table()
        return
    _refuse_address()
    from gfp_serve.gallery.care.backup import list_snapshots

    for file in list_snapshots(folder):
        if gallery not in (None, file.gallery):
            continue
        state = ("damaged", "") if file.state is None else (str(file.state.num_items), str(file.state.generation))
        about = {"name": file.name, "created": file.created.isoformat(), "num_bytes": file.num_bytes}
        listing.add(_values_of_file(file.file, file.gallery, file.state) | about, [_row(file, state)])
    listing.print_table(f"Each is {folder / '_snapshots' / 'GALLERY' / 'NAME.sqlite'}.")


@snapshot.command()
@_NAME_OF_SNAPSHOT
@click.argument("file", metavar="FILE.sqlite", type=PATH)
@gallery_in_folder_option
@talks_to_server
def fetch(name: str, file: Path, gallery: str, connect: Connect, as_json: bool) -> None:
    """Copy a snapshot from the server into a new file.

    Its SHA-256 is written beside it. The file appears when it is whole and was verified. If the copy was interrupted,
    the same command goes on where it ended.
    """
    with connect() as client, progress() as bars:
        sha256 = client.fetch_snapshot(name, file, gallery=gallery, on_progress=bars.add("fetch", "bytes").reach)
    num_bytes = file.stat().st_size
    values = {"file": str(file), "sha256": sha256, "num_bytes": num_bytes}
    print_result(values, f"{file} is the snapshot {name} of the gallery {gallery}, {num_bytes / 1e6:.1f} MB.", as_json)


@snapshot.command()
@_NAME_OF_SNAPSHOT
@gallery_in_folder_option
@talks_to_server
def remove(name: str, gallery: str, connect: Connect, as_json: bool) -> None:
    """Remove a snapshot from the server."""
    with connect() as client:
        client.delete_snapshot(name, gallery=gallery)
    print_result({"removed": [name]}, f"The snapshot {name} of the gallery {gallery} was removed.", as_json)


@snapshot.command()
@click.option("--keep", type=click.IntRange(1), required=True, help="How many of the newest snapshots stay.")
@gallery_in_folder_option
@talks_to_server
def prune(keep: int, gallery: str, connect: Connect, as_json: bool) -> None:
    """Remove all but a gallery's newest snapshots from the server."""
    with connect() as client:
        removed = client.prune_snapshots(keep, gallery=gallery)
    if as_json:
        print_json({"removed": removed})
        return
    for name in removed:
        say(f"The snapshot {name} of the gallery {gallery} was removed.")
    if not removed:
        say(f"Nothing was removed: the gallery {gallery} has no older snapshots.")


@snapshot.command()
@click.argument("file", metavar="FILE", type=PATH)
@json_option
def verify(file: Path, as_json: bool) -> None:
    """Verify a snapshot: its SHA-256, its database and every item. The exit code is 1 when it is damaged."""
    from gfp_serve.gallery.care.backup import verify_snapshot

    state = verify_snapshot(file)
    said = f"{file} is sound: {num_items(state.num_items)}, generation {state.generation}."
    print_result(_values_of_file(file, None, state), said, as_json)


@snapshot.command()
@click.argument("file", metavar="NAME|FILE", type=PATH)
@click.argument("folder", metavar="[FOLDER]", type=PATH, required=False)
@click.option("--into", metavar="NEW", help="Without a FOLDER: name of the gallery to make on the server.")
@click.option(
    "--gallery",
    metavar="NAME",
    default=DEFAULT_GALLERY,
    show_default=True,
    help="Without a FOLDER: the gallery that the snapshot is of. With one: the gallery to make.",
)
@click.option(
    "--repair",
    "must_repair",
    is_flag=True,
    help="With a FOLDER: keep what is sound of a damaged snapshot, and say what is lost. Of items that an earlier "
    "release took, what an upsert would refuse today is cleared.",
)
@talks_to_server
def restore(
    file: Path,
    folder: Path | None,
    into: str | None,
    gallery: str,
    must_repair: bool,
    connect: Connect,
    as_json: bool,
) -> None:
    """Verify a snapshot and make a gallery from it. Nothing is replaced: there must be no gallery of that name yet.

    NAME and --into ask the server, which makes the gallery NEW while calls go on. FILE and FOLDER make a gallery in
    FOLDER, which a server shows after its next start.
    """
    if (folder is None) == (into is None):
        raise click.UsageError("give NAME and --into NEW to restore on the server, or FILE and FOLDER.")
    if folder is None and must_repair:
        raise click.UsageError("--repair needs FILE and FOLDER; fetch the snapshot from the server first.")
    if folder is None:
        with connect() as client:
            description = client.restore_snapshot(str(file), str(into), gallery=gallery)
        said = (
            f"The gallery {into} has the {num_items(description.num_items)} of the snapshot {file} of the gallery "
            f"{gallery}, generation {description.generation}."
        )
        print_result({"name": into, **asdict(description)}, said, as_json)
        return
    _refuse_address()
    from gfp_serve.gallery.care.backup import restore_snapshot, restore_what_is_sound

    if must_repair:
        findings = restore_what_is_sound(file, folder, gallery).findings
        if as_json:
            print_json(values_of(findings))
        else:
            print_repaired(gallery, findings)
        return
    state = restore_snapshot(file, folder, gallery)
    said = f"The gallery {gallery} has the {num_items(state.num_items)} of {file}, generation {state.generation}."
    print_result(_values_of_file(file, gallery, state), said, as_json)


def _refuse_address() -> None:
    """For commands that work on a FOLDER. The environment may name a server for other commands."""
    if click.get_current_context().get_parameter_source("address") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--address names a server, and FOLDER is on this machine; give one of them.")


def _is_usable(found: Snapshot) -> bool:
    return bool(found.encoder_digest and found.sha256)


def _about(made: Snapshot) -> str:
    return f"{made.name} of the gallery {made.gallery}: {num_items(made.num_items)}, generation {made.generation}"


def _row(found: "Snapshot | SnapshotFile", state: tuple[str, str]) -> tuple[str, ...]:
    return (found.gallery, found.name, f"{found.created:%Y-%m-%d %H:%M}", *state, f"{found.num_bytes / 1e6:.1f}")


def _values(found: Snapshot) -> dict[str, object]:
    """With the names that a snapshot in a folder has too."""
    values = asdict(found) | {"created": found.created.isoformat(), "items": found.num_items}
    del values["num_items"]
    return values


def _values_of_file(file: Path, gallery: str | None, state: "GalleryState | None") -> dict[str, object]:
    values: dict[str, object] = {"file": str(file)} if gallery is None else {"file": str(file), "gallery": gallery}
    if state is None:
        return values
    return values | {
        "encoder_digest": state.encoder_digest,
        "embedding_size": state.embedding_size,
        "items": state.num_items,
        "generation": state.generation,
    }
