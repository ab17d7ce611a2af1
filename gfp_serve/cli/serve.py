"""The command `gfp-serve`: reads the settings and runs a server."""

import asyncio
import os
import sys
from typing import Any

import click

from gfp_serve.cli.bundle import bundle_command
from gfp_serve.cli.options import Group, options_from, version_option
from gfp_serve.cli.printing import say
from gfp_serve.cli.settings_file import settings_file_option, written_settings
from gfp_serve.config import ServeConfig
from gfp_serve.logs import configure_logs


class _StillBuilding(SystemExit):
    """The server has ended well, while an index is still being built in its process."""


class _Program(Group):
    """A group that ends its process at once where it must; called as a function, which only the program does."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except _StillBuilding:
            # FAISS would go on while the process is taken down around it. Everything else is closed and on the disk.
            sys.stdout.flush()
            os._exit(0)


@click.group(cls=_Program, invoke_without_command=True, context_settings={"auto_envvar_prefix": "GFP_SERVE"})
@version_option
@settings_file_option(
    "TOML file of these settings, as `gfp-serve config` prints it. Flags and environment variables win.",
    listed="gfp-serve config prints all settings",
)
@options_from(ServeConfig)
def gfp_serve(config: ServeConfig) -> None:
    """Serve a skeleton encoder and its galleries over gRPC, and over HTTP with a page if a port is given.

    One line on standard output says when calls can be made. At SIGTERM the server finishes the calls in progress and
    exits. Every option is also an environment variable (GFP_SERVE_PORT for --port) and a key of the --config file.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    configure_logs(config.log_format, config.log_level)
    # Imported here so that --help answers at once, and without onnxruntime too.
    from gfp_serve.gallery.embedded.background import is_building
    from gfp_serve.server_process import serve

    asyncio.run(serve(config, click.echo))
    if is_building():
        raise _StillBuilding(0)


gfp_serve.add_command(bundle_command)


@gfp_serve.command(name="config")
@click.pass_context
def print_config(context: click.Context) -> None:
    """Print the server's settings, as a file for --config.

    Give options before this command: gfp-serve --port 0 config.
    """
    for line in written_settings(context.parent or context):
        say(line)
