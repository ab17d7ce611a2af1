"""Options that several commands of `gfp` share: the server that they ask, the gallery, and the recordings."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from gfp_serve.cli.options import stands_for
from gfp_serve.client import DEFAULT_ADDRESS, Client, Tls, read_token
from gfp_serve.filter_text import read_filter
from gfp_serve.formats import TEST_SPLIT, TRAIN_SPLIT
from gfp_serve.items import Effort

Connect = Callable[[], Client]

SPLITS = {"train": TRAIN_SPLIT, "test": TEST_SPLIT}


def talks_to_server(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that calls a server; it is called with `connect=`, which opens a client."""
    path = click.Path(path_type=Path)

    @stands_for(command)
    def call(
        address: str,
        timeout_s: float,
        token_file: Path | None,
        tls: bool,
        tls_ca: Path | None,
        tls_certificate: Path | None,
        tls_key: Path | None,
        **given: Any,
    ) -> None:
        files = Tls(ca=tls_ca, certificate=tls_certificate, key=tls_key)

        def connect() -> Client:
            return Client(
                address,
                timeout_s,
                token=None if token_file is None else read_token(token_file),
                tls=files if tls or files != Tls() else None,
            )

        command(connect=connect, **given)

    shared = (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line instead of a table."),
        click.option("--timeout-s", default=30.0, show_default=True, help="Seconds that one request may take."),
        click.option("--tls-key", envvar="GFP_TLS_KEY", metavar="FILE", type=path, help="Its key."),
        click.option(
            "--tls-certificate",
            envvar="GFP_TLS_CERTIFICATE",
            metavar="FILE",
            type=path,
            help="Certificate to show a server that asks for one (mutual TLS).",
        ),
        click.option(
            "--tls-ca", envvar="GFP_TLS_CA", metavar="FILE", type=path, help="Authorities to trust; implies --tls."
        ),
        click.option("--tls", envvar="GFP_TLS", is_flag=True, help="Encrypt the connection."),
        click.option(
            "--token-file",
            envvar="GFP_TOKEN_FILE",
            metavar="FILE",
            type=path,
            help="File that holds the token to send.",
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
    for option in shared:
        call = option(call)
    return call


def in_gallery(command: Callable[..., None]) -> Callable[..., None]:
    """The gallery that a command is about; it is called with `gallery=`, a name or ""."""
    return click.option(
        "--gallery", default="", metavar="NAME", help="Name of the gallery; without it, the one named default."
    )(command)


def searches(command: Callable[..., None]) -> Callable[..., None]:
    """What is searched, and how hard: the command is called with `gallery=`, `where=` and `effort=`."""

    @stands_for(command)
    def call(where: Sequence[str], exact: bool, ef_search: int | None, nprobe: int | None, **given: Any) -> None:
        command(where=read_filter(where), effort=Effort(exact, ef_search, nprobe), **given)

    shared = (
        click.option("--nprobe", type=int, metavar="NUMBER", help="Lists that an IVF index reads; more find more."),
        click.option(
            "--ef-search", type=int, metavar="NUMBER", help="Candidates that an HNSW index follows; more find more."
        ),
        click.option("--exact", is_flag=True, help="Compare with every item, whatever the index."),
        click.option(
            "--where",
            multiple=True,
            metavar="CONDITION",
            help="Find only items of which this holds: label=drink,eat or camera!=2 or age>=10.5, the label or an "
            "attribute. Of several all must hold.",
        ),
    )
    for option in shared:
        call = option(call)
    return in_gallery(call)


def reads_clips(command: Callable[..., None]) -> Callable[..., None]:
    """The recordings that a command goes through."""
    split = click.option(
        "--split",
        type=click.Choice(["all", *SPLITS]),
        default="all",
        show_default=True,
        help="Take only clips of this side of the recordings' own split.",
    )
    files = click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
    return files(split(command))
