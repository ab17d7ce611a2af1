"""The site of docs/ is built without a warning, has all its pages and references, and loads nothing from elsewhere."""

import html
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gfp_serve.client import AsyncClient, Client
from gfp_serve.v1 import embedding_pb2, gallery_pb2, open_inference_pb2, snapshot_pb2, stream_pb2, view_pb2
from tests.contract.commands import ROOT, SCRIPTS, contexts

PROTOS = (embedding_pb2, gallery_pb2, open_inference_pb2, snapshot_pb2, stream_pb2, view_pb2)
METHODS = [
    (file, service.full_name, method.name)
    for file in PROTOS
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
FIELDS = [
    (file, message.name, field.name)
    for file in PROTOS
    for message in file.DESCRIPTOR.message_types_by_name.values()
    for field in message.fields
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built as `make docs` builds it."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "-j", "2"]
    built = subprocess.run(
        [*command, "-d", out / "doctrees", ROOT / "docs", out / "html"], capture_output=True, text=True, timeout=300
    )
    assert built.returncode == 0, built.stderr
    return out / "html"


@pytest.fixture(scope="module")
def pages(site):
    """The text of each page's file, by its path in the site."""
    return {str(path.relative_to(site)): path.read_text() for path in site.rglob("*.html")}


def text_of(page: str) -> str:
    """What a page shows, without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def page_of(file) -> str:
    return f"reference/wire/{Path(file.DESCRIPTOR.name).stem}.html"


@pytest.mark.timeout(300)
def test_every_page_of_the_docs_is_in_the_site_and_can_be_reached(pages):
    sources = [path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")]

    assert len(sources) > 30
    assert [str(page) for page in sources if str(page) not in pages] == []
    # Every page shows the tree of contents, which has each page.
    contents = re.findall(r'class="reference internal" href="([^"#]+)"', pages["index.html"])
    assert [str(page) for page in sources if str(page) not in {*contents, "index.html"}] == []


def test_every_command_is_in_the_site_with_all_its_options(pages):
    wanted = []
    for context in contexts():
        name = context.command_path.replace(" ", "-")
        wanted.append((context.command_path, f'<section id="{name}">'))
        wanted += [
            (context.command_path, f'id="cmdoption-{name}-{option.opts[0].lstrip("-")}"')
            for option in context.command.params
            if isinstance(option, click.Option)
        ]

    assert len(wanted) > 300
    assert [want for want in wanted if want[1] not in pages[f"reference/commands/{want[0].split()[0]}.html"]] == []


def test_the_heading_of_each_command_is_its_whole_name(pages):
    shown = {script: text_of(pages[f"reference/commands/{script}.html"]) for script in SCRIPTS}

    assert "gfp gallery snapshot create¶" in shown["gfp"]
    assert "gfp-evaluate linear-probe¶" in shown["gfp-evaluate"]


def test_every_rpc_is_in_the_site(pages):
    anchors = [(file, re.sub(r"[._]", "-", f"{service}.{method}").lower()) for file, service, method in METHODS]

    assert len(anchors) > 20
    assert [anchor for file, anchor in anchors if f'id="{anchor}"' not in pages[page_of(file)]] == []


def test_every_field_of_a_message_is_in_the_site_with_its_comment(pages):
    missing = [(message, field) for file, message, field in FIELDS if f">{field}<" not in pages[page_of(file)]]

    assert len(FIELDS) > 100
    assert missing == []
    assert 'NaN means "not seen", and so do 0 0 0' in text_of(pages["reference/wire/embedding.html"])


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_method_of_a_client_is_in_the_site(pages, client):
    methods = [name for name, method in vars(client).items() if not name.startswith("_") and callable(method)]
    page = pages["reference/python/client.html"]

    assert len(methods) > 10
    assert [name for name in methods if f"gfp_serve.client.{client.__name__}.{name}" not in page] == []


def test_no_page_shows_the_markup_of_a_directive(pages):
    # Sphinx prints a reStructuredText directive outside {eval-rst} as text, without a warning.
    marks = (".. click::", ".. automodule::", "{{protocol", "{eval-rst}", ":::", ":nested:")
    shown = [(name, mark) for name, page in pages.items() for mark in marks if mark in text_of(page)]

    assert shown == []


# What a browser loads by itself in HTML. Links that a reader may follow do not count.
LOADS = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|object|embed)\b[^>]*?\b(?:src|data)=["']?(?:https?:)?//"""
)
LINKS = re.compile(r"""<link\b(?=[^>]*\brel=["']?(?:stylesheet|icon|pre|dns))[^>]*\bhref=["']?(?:https?:)?//""")
STYLES = re.compile(r"""@import|url\(\s*["']?(?:https?:)?//""")


def test_the_site_loads_nothing_from_another_host(site, pages):
    sheets = {path.name: path.read_text() for path in site.rglob("*.css")}

    assert sheets
    assert [name for name, page in pages.items() if LOADS.search(page) or LINKS.search(page)] == []
    assert [name for name, sheet in sheets.items() if STYLES.search(sheet)] == []


@pytest.mark.parametrize(
    ("pattern", "markup"),
    [
        (LOADS, '<script defer src="https://cdn.example/x.js"></script>'),
        (LOADS, "<img alt='a' src='//cdn.example/x.png'>"),
        (LINKS, '<link rel="stylesheet" href="https://fonts.example/css">'),
        (LINKS, '<link href="https://fonts.example" rel="preconnect">'),
        (STYLES, "@import 'x.css';"),
        (STYLES, "src: url(https://fonts.example/x.woff2)"),
    ],
)
def test_a_page_that_loads_from_another_host_is_found(pattern, markup):
    assert pattern.search(markup)
