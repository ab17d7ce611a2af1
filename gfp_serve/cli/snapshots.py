"""The commands `gfp gallery snapshot`: copies of galleries in folders."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Column

from gfp_serve.cli.arguments import PATH, folder_argument, gallery_in_folder_option, json_option
from gfp_serve.cli.options import Group
from gfp_serve.cli.printing import Listing, num_items, print_result

if TYPE_CHECKING:
    from gfp_serve.gallery.embedded.schema import GalleryState


@click.group(cls=Group)
def snapshot() -> None:
    """Copies of a gallery as it was at one moment. Each is one file, with its SHA-256 beside it."""


@snapshot.command()
@folder_argument
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--out", metavar="FILE", type=PATH, help="Write this file, instead of one with a NAME.")
@gallery_in_folder_option
@json_option
def create(folder: Path, name: str | None, out: Path | None, gallery: str, as_json: bool) -> None:
    """Take a snapshot of a gallery. A server may have it open.

    FOLDER is the one given to gfp-serve --gallery. A snapshot with a NAME is FOLDER/_snapshots/GALLERY/NAME.sqlite, and
    stays there when the gallery is dropped. Every item is verified. A damaged gallery gives no snapshot.
    """
    from gfp_serve.gallery.care.backup import create_snapshot, snapshot_file
    from gfp_serve.gallery.embedded.folders import existing_folder

    if (name is None) == (out is None):
        raise click.UsageError("give either a NAME for the snapshot, or a file with --out.")
    file = snapshot_file(folder, gallery, name) if out is None else out  # type: ignore[arg-type]
    state = create_snapshot(existing_folder(folder, gallery), file)
    said = f"{file} has the {num_items(state.num_items)} of the gallery {gallery}, generation {state.generation}."
    print_result(_values(file, gallery, state), said, as_json)


@snapshot.command(name="list")
@folder_argument
@json_option
def list_all(folder: Path, as_json: bool) -> None:
    """Show the snapshots of all galleries in FOLDER. They are not verified."""
    from gfp_serve.gallery.care.backup import list_snapshots

    right = [Column(name, justify="right") for name in ("items", "generation", "MB")]
    listing = Listing(("gallery", "name", "created (UTC)", *right), as_json)
    for each in list_snapshots(folder):
        state = ("damaged", "") if each.state is None else (str(each.state.num_items), str(each.state.generation))
        about = {"name": each.name, "created": each.created.isoformat(), "num_bytes": each.num_bytes}
        row = (each.gallery, each.name, f"{each.created:%Y-%m-%d %H:%M}", *state, f"{each.num_bytes / 1e6:.1f}")
        listing.add(_values(each.file, each.gallery, each.state) | about, [row])
    listing.print_table(f"Each is {folder / '_snapshots' / 'GALLERY' / 'NAME.sqlite'}.")


@snapshot.command()
@click.argument("file", metavar="FILE", type=PATH)
@json_option
def verify(file: Path, as_json: bool) -> None:
    """Verify a snapshot: its SHA-256, its database and every item. The exit code is 1 when it is damaged."""
    from gfp_serve.gallery.care.backup import verify_snapshot

    state = verify_snapshot(file)
    said = f"{file} is sound: {num_items(state.num_items)}, generation {state.generation}."
    print_result(_values(file, None, state), said, as_json)


@snapshot.command()
@click.argument("file", metavar="FILE", type=PATH)
@folder_argument
@gallery_in_folder_option
@json_option
def restore(file: Path, folder: Path, gallery: str, as_json: bool) -> None:
    """Verify a snapshot and make a gallery from it.

    FOLDER is the one given to gfp-serve --gallery, which shows the gallery after its next start. There must be no
    gallery of that name yet: nothing is replaced.
    """
    from gfp_serve.gallery.care.backup import restore_snapshot

    state = restore_snapshot(file, folder, gallery)
    said = f"The gallery {gallery} has the {num_items(state.num_items)} of {file}, generation {state.generation}."
    print_result(_values(file, gallery, state), said, as_json)


def _values(file: Path, gallery: str | None, state: "GalleryState | None") -> dict[str, object]:
    values: dict[str, object] = {"file": str(file)} if gallery is None else {"file": str(file), "gallery": gallery}
    if state is None:
        return values
    return values | {
        "encoder_digest": state.encoder_digest,
        "embedding_size": state.embedding_size,
        "items": state.num_items,
        "generation": state.generation,
    }
