"""Pages of commands: sphinx-click, with the whole command as each heading, and with help that stays as it is."""

from typing import Any

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx_click.ext import ClickDirective


class WholeCommands(ClickDirective):
    """The directive `click`, whose headings say `gfp gallery create` instead of `create`."""

    def _generate_nodes(
        self, name: str, command: click.Command, parent: click.Context | None, *rest: Any, **options: Any
    ) -> list[nodes.section]:
        sections = super()._generate_nodes(name, command, parent, *rest, **options)
        for section in sections:
            section[0] = nodes.title(text=f"{parent.command_path} {name}" if parent else name)
        return sections


def _keep_plain(_app: Sphinx, _context: click.Context, lines: list[str]) -> None:
    # reStructuredText would take FILE/CLIP@FIRST-END for an address of mail.
    lines[:] = [line.replace("@", "\\@") for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx_click")
    app.add_directive("click", WholeCommands, override=True)
    app.connect("sphinx-click-process-description", _keep_plain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
