"""The page's files are made of the present sources, and nothing in them leads elsewhere."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES, FILES = ROOT / "page", ROOT / "gfp_serve" / "page"
DESCRIPTION = json.loads((ROOT / "gfp_serve" / "service" / "http" / "openapi.json").read_text())


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "node_modules" not in path.parts
    }


def test_the_files_were_built_from_the_present_sources():
    lines = (FILES / "made_of.txt").read_text().splitlines()
    built_from = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert built_from == hashes(SOURCES), "run `make page-files`, and commit what it writes."


@pytest.mark.install
@pytest.mark.timeout(600)
def test_building_them_again_gives_the_same_bytes(packages: Path, tmp_path: Path):
    done = subprocess.run(["node", "build.mjs", tmp_path / "built"], cwd=packages, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert hashes(tmp_path / "built") == hashes(FILES)


def test_the_lock_file_pins_every_package_and_names_no_registry():
    lock = json.loads((SOURCES / "package-lock.json").read_text())
    asked = json.loads((SOURCES / "package.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert all("integrity" in each and "resolved" not in each for each in packages.values())
    for name, version in {**asked["dependencies"], **asked["devDependencies"]}.items():
        assert re.fullmatch(r"[\d.]+", version), name
        assert packages[f"node_modules/{name}"]["version"] == version
    # Later releases report to their maker how they are used.
    assert asked["dependencies"]["@mediapipe/tasks-vision"] == "0.10.35"


def test_every_shipped_library_has_its_licence():
    asked = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    text = (FILES / "licences.txt").read_text()
    assert all(f"{name} {version}\n" in text for name, version in asked.items())


def test_the_page_knows_the_messages_of_the_wire_by_their_fields():
    schemas = DESCRIPTION["components"]["schemas"]
    told = re.findall(r"export interface (\w+) \{\n(.*?)\n\}", (SOURCES / "messages.ts").read_text(), flags=re.DOTALL)
    assert len(told) > 20
    for name, body in told:
        known = schemas[f"gfp_serve.v1.{name}"]["properties"]
        assert set(re.findall(r"^  (\w+)\??:", body, flags=re.MULTILINE)) <= set(known), name


def test_the_page_loads_nothing_from_elsewhere():
    html = (FILES / "index.html").read_text()
    assert re.findall(r'(?:src|href)="(?!data:|#)([^"]+)"', html) == ["/page/page.css", "/page/page.js"]
    assert "url(" not in (FILES / "page.css").read_text()
    # Names of XML's vocabularies are never asked for.
    found = set(re.findall(r"https?://[\w.-]+", (FILES / "page.js").read_text()))
    assert found <= {"http://www.w3.org"}
    assert "://" not in (FILES / "pose_worker.js").read_text().replace('"blob://', "")


def test_every_file_is_listed_with_its_licence_in_the_notice():
    notice = (ROOT / "NOTICE").read_text()
    for name in ("page.js", "viewer.js", "pose_worker.js", "vision_wasm_internal.js", "vision_wasm_internal.wasm"):
        assert name in notice
