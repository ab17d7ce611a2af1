"""Writes the reference of the HTTP port: the paths of its OpenAPI description, with links to the messages.

A page asks for it with a line of its own, `{{http}}`.
"""

import re
from collections.abc import Iterator
from typing import Any

from openapi import description
from sphinx.application import Sphinx

_REQUEST = re.compile(r"^\{\{http\}\}$", re.MULTILINE)


def _lines() -> Iterator[str]:
    tag = ""
    for path, methods in sorted(description()["paths"].items(), key=lambda item: _tag(item[1])):
        if _tag(methods) != tag:
            tag = _tag(methods)
            yield from (f"## {tag}", "")
        for method, operation in methods.items():
            yield from (f"### {method.upper()} {path}", "", operation.get("description", ""), "")
            yield from _of_operation(operation)


def _of_operation(operation: dict[str, Any]) -> Iterator[str]:
    rows = []
    for parameter in operation.get("parameters", ()):
        name = parameter.get("name") or parameter["$ref"].rpartition("/")[2]
        rows.append((f"`{name}`", f"in the {parameter.get('in', 'query')}"))
    rows += [("request", _kinds(operation["requestBody"]["content"]))] if "requestBody" in operation else []
    rows += [
        (code, _kinds(answer["content"])) for code, answer in operation["responses"].items() if "content" in answer
    ]
    if rows:
        yield from (":::{list-table}", ":widths: 20 80", "")
        yield from (f"* - {first}\n  - {second}" for first, second in rows)
        yield from (":::", "")


def _kinds(content: dict[str, Any]) -> str:
    shown = []
    for kind, about in content.items():
        name = about.get("schema", {}).get("$ref", "").rpartition("/")[2]
        of = f" of [{name.rpartition('.')[2]}](#{name})" if "." in name else ""
        shown.append(f"`{kind}`{of}")
    return ", ".join(shown)


def _tag(methods: dict[str, Any]) -> str:
    return str(next(iter(methods.values()))["tags"][0])


def _fill_in(_app: Sphinx, _docname: str, content: list[str]) -> None:
    if _REQUEST.search(content[0]):
        content[0] = _REQUEST.sub(lambda _: "\n".join(_lines()), content[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _fill_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
