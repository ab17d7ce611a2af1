"""`gfp gallery snapshot` without a FOLDER: what a running server is asked for."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.client import Client
from gfp_serve.items import Item
from tests.support.servers import running_in_thread
from tests.support.tiny_bundle import SIZE

Run = Callable[..., str]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with running_in_thread(tmp_path) as address:
        yield address


@pytest.fixture
def run(address: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("GFP_ADDRESS", address)

    def run(*arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(gfp, ["gallery", "snapshot", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_snapshots_are_made_listed_fetched_restored_and_pruned_by_commands(
    run: Run, address: str, tmp_path: Path
) -> None:
    with Client(address) as client:
        client.upsert([Item("a", np.eye(SIZE, dtype=np.float32)[0])])
        assert run("create", "one") == "The server has the snapshot one of the gallery default: 1 item, generation 1.\n"
        run("create", "two")
        assert [line.split()[:2] for line in run("list").splitlines()[1:]] == [["default", "one"], ["default", "two"]]
        listed = [json.loads(line) for line in run("list", "--json").splitlines()]
        assert [(each["name"], each["items"], each["generation"]) for each in listed] == [("one", 1, 1), ("two", 1, 1)]
        assert "one" in run("list", "--gallery", "default")
        assert "one" not in run("list", "--gallery", "other")
        said = run("create", "one", code=1)
        assert "'default' has a snapshot 'one' already" in said
        assert ".sqlite" not in said
        file = tmp_path / "one.sqlite"
        assert f"{file} is the snapshot one" in run("fetch", "one", file)
        assert "is sound: 1 item" in run("verify", file)
        assert "The gallery again has the 1 item" in run("restore", "one", "--into", "again")
        assert client.get(["a"], gallery="again")[0].id == "a"
        assert run("prune", "--keep", 1) == "The snapshot one of the gallery default was removed.\n"
        assert "Nothing was removed" in run("prune", "--keep", 1)
        run("remove", "two")
        assert client.list_snapshots() == []


def test_a_folder_or_the_server_is_asked_and_never_both(run: Run, tmp_path: Path) -> None:
    assert "give either a NAME" in run("create", tmp_path, code=2)
    assert "give a NAME for the snapshot" in run("create", code=2)
    assert "give NAME and --into NEW" in run("restore", "one", code=2)
    assert "give NAME and --into NEW" in run("restore", "one", tmp_path, "--into", "x", code=2)
    assert "give one of them" in run("list", tmp_path, "--address", "127.0.0.1:1", code=2)
    assert "there is no snapshot" in run("restore", "one", "--into", "x", code=1)
