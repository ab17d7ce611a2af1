"""Says in the Python reference what each field of a value means.

The meaning of a field stands beside it in the code: as its comment, or as the help of its option (`settings.setting`).
autodoc shows neither. This adds both to the text of the class.
"""

import dataclasses
import inspect
import io
import tokenize
from typing import Any

from sphinx.application import Sphinx


def comments_of(value_class: type) -> dict[str, str]:
    """The comment at the end of the line of each field that has one, by the field's name."""
    try:
        source = inspect.cleandoc(inspect.getsource(value_class))
    except (OSError, TypeError):
        return {}
    comments: dict[str, str] = {}
    line: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and line and line[0].type == tokenize.NAME and line[0].start[1] == 4:
            comments.setdefault(line[0].string, token.string.removeprefix("#").strip())
        line = [] if token.type in (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT) else [*line, token]
    return comments


def _field_names(value_class: type) -> tuple[str, ...]:
    if dataclasses.is_dataclass(value_class):
        return tuple(field.name for field in dataclasses.fields(value_class))
    return getattr(value_class, "_fields", ())  # of a NamedTuple


def _helps(value_class: type) -> dict[str, str]:
    if not dataclasses.is_dataclass(value_class):
        return {}
    return {field.name: field.metadata["help"] for field in dataclasses.fields(value_class) if "help" in field.metadata}


def _add_fields(_app: Sphinx, what: str, _name: str, found: Any, _options: object, lines: list[str]) -> None:
    if what not in ("class", "exception") or not isinstance(found, type):
        return
    comments, helps = comments_of(found), _helps(found)
    # A note for tools is not for readers.
    meanings = {
        name: helps.get(name) or comments.get(name, "")
        for name in _field_names(found)
        if not comments.get(name, "").startswith(("type:", "noqa"))
    }
    told = {name: meaning for name, meaning in meanings.items() if meaning}
    if told:
        lines.extend(["", *(f"* ``{name}`` – {meaning}" for name, meaning in told.items()), ""])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _add_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
