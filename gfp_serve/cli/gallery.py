"""The commands `gfp gallery`: galleries as wholes."""

import dataclasses
from typing import get_args

import click
from rich.table import Column

from gfp_serve.cli.arguments import Connect, talks_to_server
from gfp_serve.cli.calibrate import calibrate
from gfp_serve.cli.care import check, copy, export_items, import_items, repair
from gfp_serve.cli.options import Group
from gfp_serve.cli.printing import Listing, print_facts, print_json, print_result
from gfp_serve.cli.reembed import reembed
from gfp_serve.cli.snapshots import snapshot
from gfp_serve.items import DEFAULT_GALLERY, Description, IndexKind


@click.group(cls=Group)
def gallery() -> None:
    """Make galleries, look at them, and remove them. The gallery named "default" is always there."""


for each in (check, repair, snapshot, export_items, import_items, copy, reembed, calibrate):
    gallery.add_command(each)


@gallery.command()
@click.argument("name")
@click.option(
    "--index-kind",
    type=click.Choice(get_args(IndexKind)),
    default="auto",
    show_default=True,
    help="How vectors are searched. exact compares with all of them; hnsw and ivf are faster and may miss some, and "
    "ivf takes less memory than hnsw; auto chooses by the number of items.",
)
@talks_to_server
def create(name: str, index_kind: IndexKind, connect: Connect, as_json: bool) -> None:
    """Make an empty gallery for the server's encoder."""
    with connect() as client:
        description = client.create_gallery(name, index_kind)
    print_result(_values(name, description), f"The gallery {name} was made; use it with --gallery {name}.", as_json)


@gallery.command(name="list")
@talks_to_server
def list_galleries(connect: Connect, as_json: bool) -> None:
    """Show all galleries of the server, other encoders' ones too."""
    listing = Listing(
        ("gallery", "index", Column("items", justify="right"), Column("MB", justify="right"), "note"), as_json
    )
    with connect() as client:
        found = client.list_galleries()
    for each in found:
        described = each.description
        values = {"name": each.name, "encoder_digest": each.encoder_digest}
        if described is None:
            note = f"of encoder {each.encoder_digest[:12]}, which is not served"
            listing.add(values, [(each.name, "", "", "", note)])
        else:
            numbers = (str(described.num_items), f"{described.num_bytes / 1e6:.1f}")
            notes = [] if described.durable else ["lost when the server exits"]
            if described.unsuited_kind is not None:
                notes.append(f"{described.unsuited_kind} would miss too much")
            row = (each.name, _index(described), *numbers, "; ".join(notes))
            listing.add(values | dataclasses.asdict(described), [row])
    listing.print_table()


@gallery.command()
@click.argument("name", default=DEFAULT_GALLERY)
@talks_to_server
def describe(name: str, connect: Connect, as_json: bool) -> None:
    """Say what a gallery is: its encoder, index, items, bytes. Without a NAME, the default one."""
    with connect() as client:
        values = _values(name, client.describe_gallery(name))
    if as_json:
        print_json(values)
    else:
        print_facts({key: str(value) for key, value in values.items()})


@gallery.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@talks_to_server
def drop(name: str, yes: bool, connect: Connect, as_json: bool) -> None:
    """Remove a gallery and all its items, for ever."""
    with connect() as client:
        if not yes:
            num_items = client.describe_gallery(name).num_items
            click.confirm(f"Remove the gallery {name} and its {num_items} items, for ever?", abort=True, err=True)
        num_items = client.drop_gallery(name)
    print_result({"dropped": num_items}, f"The gallery {name} and its {num_items} items were removed.", as_json)


def _values(name: str, description: Description) -> dict[str, object]:
    return {"name": name, **dataclasses.asdict(description)}


def _index(description: Description) -> str:
    asked, serving = description.index_kind, description.serving_kind
    building = ", building" if description.is_building else ""
    return f"{serving}{building}" if asked == serving else f"{asked} (now {serving}{building})"
