"""benchmarks/serving: a server of another checkout is really that one."""

import importlib
from pathlib import Path

PROGRAM = """
import click
@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("words", nargs=-1)
def gfp_serve(words):
    import time
    print("serving elsewhere on 127.0.0.1:1 now", flush=True)
    time.sleep(60)
"""


def test_a_server_of_another_checkout_is_that_one(tmp_path: Path) -> None:
    processes = importlib.import_module("benchmarks.serving.processes")
    package = tmp_path / "gfp_serve" / "cli"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "serve.py").write_text(PROGRAM)
    with processes.gfp_serve(tmp_path / "bundle", checkout=tmp_path) as (_, address):
        assert address == "127.0.0.1:1"
