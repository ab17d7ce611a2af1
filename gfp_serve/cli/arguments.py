"""Options that several commands share: the server, the gallery, the search, the vote, the form of the output."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from gfp_serve.classify import DEFAULT_NUM_NEIGHBOURS, DEFAULT_TEMPERATURE, DEFAULT_WEIGHTING, WEIGHTINGS
from gfp_serve.cli.notes import note_warning
from gfp_serve.cli.options import with_options_of
from gfp_serve.cli.progress import warn
from gfp_serve.client import DEFAULT_ADDRESS, Client, Tls, read_token
from gfp_serve.files import read_by_others
from gfp_serve.filter_text import read_filter
from gfp_serve.items import DEFAULT_GALLERY, Effort

Command = Callable[..., None]
Connect = Callable[[], Client]

PATH = click.Path(path_type=Path)

# The command is called with `as_json=`.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")

# The command, which calls a server, is called with `gallery=`, a name; "" is the server's default gallery.
gallery_option = click.option(
    "--gallery",
    metavar="NAME",
    default="",
    help=f'Name of the gallery. Without this option it is the one named "{DEFAULT_GALLERY}".',
)

# The command, which opens FOLDER, is called with `gallery=`, a name.
gallery_in_folder_option = click.option(
    "--gallery", metavar="NAME", default=DEFAULT_GALLERY, show_default=True, help="Name of the gallery."
)

# The command is called with `folder=`, where galleries are kept.
folder_argument = click.argument("folder", metavar="FOLDER", type=PATH)


def talks_to_server(command: Command) -> Command:
    """The options of every command that calls a server; it is called with `connect=`, which opens a client."""

    @with_options_of(command)
    def call(
        address: str,
        timeout_s: float,
        token_file: Path | None,
        tls: bool,
        tls_ca: Path | None,
        tls_certificate: Path | None,
        tls_key: Path | None,
        tls_server_name: str | None,
        **given: Any,
    ) -> None:
        files = Tls(ca=tls_ca, certificate=tls_certificate, key=tls_key, server_name=tls_server_name)

        def connect() -> Client:
            token = None if token_file is None else read_token(token_file)
            if token_file is not None and read_by_others(token_file):
                warn(f"every user of this machine can read the token in {token_file}; run: chmod o= {token_file}")
            return Client(
                address,
                timeout_s,
                token=token,
                tls=files if tls or files != Tls() else None,
                on_warning=note_warning,
            )

        command(connect=connect, **given)

    return _with(
        call,
        json_option,
        click.option("--timeout-s", default=30.0, show_default=True, help="Seconds that one request may take."),
        click.option(
            "--tls-server-name",
            envvar="GFP_TLS_SERVER_NAME",
            show_envvar=True,
            metavar="NAME",
            help="Name that the server's certificate must have, where it is not the name in --address; implies --tls.",
        ),
        click.option(
            "--tls-key",
            envvar="GFP_TLS_KEY",
            show_envvar=True,
            metavar="FILE",
            type=PATH,
            help="The certificate's key.",
        ),
        click.option(
            "--tls-certificate",
            envvar="GFP_TLS_CERTIFICATE",
            show_envvar=True,
            metavar="FILE",
            type=PATH,
            help="Certificate to show to a server that asks for one (mutual TLS).",
        ),
        click.option(
            "--tls-ca",
            envvar="GFP_TLS_CA",
            show_envvar=True,
            metavar="FILE",
            type=PATH,
            help="Authorities to trust; implies --tls.",
        ),
        click.option("--tls", envvar="GFP_TLS", show_envvar=True, is_flag=True, help="Encrypt the connection."),
        click.option(
            "--token-file",
            envvar="GFP_TOKEN_FILE",
            show_envvar=True,
            metavar="FILE",
            type=PATH,
            help="File that holds the token to send, alone or as the line of the server's file of tokens.",
        ),
        click.option(
            "--address",
            default=DEFAULT_ADDRESS,
            envvar="GFP_ADDRESS",
            show_default=True,
            show_envvar=True,
            metavar="HOST:PORT",
            help="Where gfp-serve listens.",
        ),
    )


def searches(command: Command) -> Command:
    """What is searched, and how hard: the command is called with `gallery=`, `where=` and `effort=`."""

    @with_options_of(command)
    def call(where: Sequence[str], exact: bool, ef_search: int | None, nprobe: int | None, **given: Any) -> None:
        command(where=read_filter(where), effort=Effort(exact, ef_search, nprobe), **given)

    return _with(
        call,
        click.option(
            "--nprobe", type=int, metavar="NUMBER", help="Lists that an IVF index reads. More lists find more items."
        ),
        click.option(
            "--ef-search",
            type=int,
            metavar="NUMBER",
            help="Candidates that an HNSW index follows. More candidates find more items.",
        ),
        click.option("--exact", is_flag=True, help="Compare with every item, whatever the index."),
        click.option(
            "--where",
            multiple=True,
            metavar="CONDITION",
            help="Find only items that match this condition on the label or an attribute: label=drink,eat or camera!=2 "
            "or age>=10.5. If given several times, items must match all of them.",
        ),
        gallery_option,
    )


def votes(command: Command) -> Command:
    """How neighbours vote: the command is called with `num_neighbours`, `weighting`, `temperature` and `balanced`."""
    return _with(
        command,
        click.option("--balanced", is_flag=True, help="Divide each vote by the number of items that its class has."),
        click.option(
            "--temperature",
            default=DEFAULT_TEMPERATURE,
            show_default=True,
            help="The smaller, the more the nearest item counts.",
        ),
        click.option(
            "--weighting",
            type=click.Choice(WEIGHTINGS),
            default=DEFAULT_WEIGHTING,
            show_default=True,
            help="Whether nearer items have more weight.",
        ),
        click.option(
            "--num-neighbours",
            default=DEFAULT_NUM_NEIGHBOURS,
            show_default=True,
            help="How many of the nearest items vote.",
        ),
    )


def _with(command: Command, *options: Callable[[Command], Command]) -> Command:
    """The command with these options; the last one stands first in its help."""
    for option in options:
        command = option(command)
    return command
