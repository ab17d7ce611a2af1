"""The commands `gfp gallery`: galleries as wholes."""

import dataclasses
import json
from typing import get_args

import click
from rich.console import Console
from rich.table import Column, Table

from gfp_serve.cli.arguments import Connect, talks_to_server
from gfp_serve.cli.calibrate import calibrate
from gfp_serve.cli.care import COMMANDS
from gfp_serve.cli.options import Group
from gfp_serve.items import DEFAULT_GALLERY, Description, IndexKind


@click.group(cls=Group)
def gallery() -> None:
    """Make galleries, look at them, and remove them; the one named "default" is always there."""


for each in (*COMMANDS, calibrate):
    gallery.add_command(each)


@gallery.command()
@click.argument("name")
@click.option(
    "--index-kind",
    type=click.Choice(get_args(IndexKind)),
    default="auto",
    show_default=True,
    help="How vectors are searched: exact compares with all; hnsw and ivf are faster and may miss some, of which ivf "
    "takes less memory; auto chooses by the number of items.",
)
@talks_to_server
def create(name: str, index_kind: IndexKind, connect: Connect, as_json: bool) -> None:
    """Make an empty gallery for the server's encoder."""
    with connect() as client:
        description = client.create_gallery(name, index_kind)
    if as_json:
        click.echo(json.dumps(_values(name, description)))
    else:
        click.echo(f"The gallery {name} was made; name it with --gallery {name}.")


@gallery.command(name="list")
@talks_to_server
def list_galleries(connect: Connect, as_json: bool) -> None:
    """Show all galleries of the server, those that another encoder filled too."""
    with connect() as client:
        found = client.list_galleries()
    table = Table("gallery", "index", Column("items", justify="right"), Column("MB", justify="right"), "note", box=None)
    for each in found:
        described = each.description
        if as_json:
            known = {} if described is None else dataclasses.asdict(described)
            click.echo(json.dumps({"name": each.name, "encoder_digest": each.encoder_digest, **known}))
        elif described is None:
            table.add_row(each.name, "", "", "", f"of encoder {each.encoder_digest[:12]}, which is not served")
        else:
            numbers = (str(described.num_items), f"{described.num_bytes / 1e6:.1f}")
            table.add_row(
                each.name, _index(described), *numbers, "" if described.durable else "lost at the server's exit"
            )
    if not as_json:
        Console().print(table)


@gallery.command()
@click.argument("name", default=DEFAULT_GALLERY)
@talks_to_server
def describe(name: str, connect: Connect, as_json: bool) -> None:
    """Say what a gallery is and how it stands; without a NAME, the default one."""
    with connect() as client:
        values = _values(name, client.describe_gallery(name))
    if as_json:
        click.echo(json.dumps(values))
        return
    table = Table("name", Column("value", overflow="fold"), show_header=False, box=None)
    for key, value in values.items():
        table.add_row(key, str(value))
    Console().print(table)


@gallery.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
@talks_to_server
def drop(name: str, yes: bool, connect: Connect, as_json: bool) -> None:
    """Remove a gallery with all its items, for ever."""
    with connect() as client:
        if not yes:
            num_items = client.describe_gallery(name).num_items
            click.confirm(f"Remove the gallery {name} and its {num_items} items, for ever?", abort=True, err=True)
        num_items = client.drop_gallery(name)
    click.echo(json.dumps({"dropped": num_items}) if as_json else f"The gallery {name} had {num_items} items.")


def _values(name: str, description: Description) -> dict[str, object]:
    return {"name": name, **dataclasses.asdict(description)}


def _index(description: Description) -> str:
    asked, serving = description.index_kind, description.serving_kind
    building = ", building" if description.is_building else ""
    return f"{serving}{building}" if asked == serving else f"{asked} (now {serving}{building})"
