"""`gfp search --html` as a user runs it, against a real server."""

import dataclasses
import json

import pytest
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.layouts import NTU25
from tests.support.page_data import data_of, positions, seconds
from tests.support.servers import running_in_thread, small_config
from tests.support.tiny_bundle import SIZE, walk


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One person waves in asked.npz. In added/, another waves and one sits; there is also a long recording, day.npz."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "added").mkdir()
    write_clip_file(folder / "asked.npz", [clip("c1", 1, "wave")])
    write_clip_file(folder / "added" / "people.npz", [clip("c2", 2, "wave"), clip("c3", 3, "sit")])
    write_clip_file(folder / "added" / "day.npz", [clip("c4", 4, None, frames=40)])
    return folder


def clip(name, seed, label, *, frames=9):
    return Clip(name=name, sequence=walk(seed, frames=frames), layout=NTU25, fps=10.0, label=label)


@pytest.fixture(scope="module")
def address(folder, tmp_path_factory):
    """A server with people.npz in its gallery, and windows of day.npz in another gallery."""
    with running_in_thread(tmp_path_factory.mktemp("server")) as address:
        galleries = ("gallery", "create", "days"), ("add", folder / "added" / "people.npz")
        windows = ("add", folder / "added" / "day.npz", "--windows", "16:8", "--gallery", "days")
        for arguments in (*galleries, windows):
            result = CliRunner().invoke(gfp, [*map(str, arguments), "--address", address])
            assert result.exit_code == 0, result.output
        yield address


@pytest.fixture(scope="module")
def address_without_copies(folder, tmp_path_factory):
    """A server that keeps no motions, with people.npz in its gallery."""
    config = dataclasses.replace(small_config(), keep_motion="off")
    with running_in_thread(tmp_path_factory.mktemp("server"), config) as address:
        added = CliRunner().invoke(gfp, ["add", str(folder / "added" / "people.npz"), "--address", address])
        assert added.exit_code == 0, added.output
        yield address


@pytest.fixture
def get(address, monkeypatch):
    monkeypatch.setenv("GFP_ADDRESS", address)

    def get(*arguments, code=0):
        result = CliRunner().invoke(gfp, ["get", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result

    return get


@pytest.fixture
def search(address, folder, monkeypatch):
    monkeypatch.setenv("GFP_ADDRESS", address)

    def search(*arguments, code=0):
        result = CliRunner().invoke(gfp, ["search", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result

    return search


def panels(page):
    """Return the neighbours beside each query: subtitle, whether right, whether it moves."""
    return [
        [(panel["subtitle"], panel["right"], panel["motion"] is not None) for panel in row["neighbours"]]
        for row in data_of(page.read_text())["rows"]
    ]


def test_neighbours_move_if_their_recordings_are_given(search, folder, tmp_path):
    page = tmp_path / "new" / "page.html"
    said = search(folder / "asked.npz", "--html", page, "--recordings", folder / "added").stdout

    assert sorted(panels(page)[0]) == [("people/c2", True, True), ("people/c3", False, True)]
    assert said.endswith(f"{page} shows 1 query and what is nearest ({page.stat().st_size / 1e3:.0f} kB).\n")
    assert "people/c2" in said  # the table too


def test_without_recordings_neighbours_are_the_copies_that_the_gallery_keeps_and_the_page_says_so(
    search, folder, tmp_path
):
    page = tmp_path / "page.html"
    said = search(folder / "asked.npz", "--html", page).stdout
    copy = "the gallery's copy, 9 of 9 frames"

    assert sorted(panels(page)[0]) == [(f"people/c2 · {copy}", True, True), (f"people/c3 · {copy}", False, True)]
    assert "2 of 2 neighbours are the gallery's copies." in said
    assert "No recording" not in said
    data = data_of(page.read_text())
    copies = [data["motions"][panel["motion"]] for panel in data["rows"][0]["neighbours"]]
    assert [seconds(motion) for motion in copies] == [0.9, 0.9]  # nine frames at ten a second


def test_a_moment_without_a_recording_is_the_copy_of_its_nearest_window(search, folder, tmp_path):
    page = tmp_path / "page.html"
    search(folder / "asked.npz", "--moments", "--gallery", "days", "--top-k", 1, "--html", page)
    ((subtitle, _, moves),) = panels(page)[0]
    assert moves
    assert "the gallery's copy, 16 of 16 frames, of its nearest window" in subtitle


def test_a_neighbour_without_a_recording_or_a_copy_is_a_card_that_says_what_to_give(
    search, folder, tmp_path, address_without_copies
):
    said = search(folder / "asked.npz", "--html", tmp_path / "page.html", "--address", address_without_copies).stdout
    (row,) = data_of((tmp_path / "page.html").read_text())["rows"]

    assert sorted(panels(tmp_path / "page.html")[0]) == [("people/c2", True, False), ("people/c3", False, False)]
    assert "--recordings" in row["neighbours"][0]["missing"]
    assert row["query"]["motion"] is not None
    assert "No recording was found for 2 of 2 neighbours: use --recordings." in said


def test_recordings_of_queries_need_not_be_given_again(search, folder, tmp_path):
    search(folder / "added" / "people.npz", "--html", tmp_path / "page.html")
    assert all(moves for row in panels(tmp_path / "page.html") for _, _, moves in row)


def test_a_moment_is_shown_as_the_part_of_its_recording(search, folder, tmp_path):
    page = tmp_path / "page.html"
    moments = ("--moments", "--gallery", "days", "--top-k", 1)
    result = search(folder / "asked.npz", *moments, "--html", page, "--recordings", folder / "added", "--json")
    data = data_of(page.read_text())
    (panel,) = data["rows"][0]["neighbours"]
    source = json.loads(result.stdout)["moments"][0]["source"]

    assert panel["subtitle"] == f"day/c4, {source['start_s']:.2f} to {source['end_s']:.2f} s"
    num_frames = round((source["end_s"] - source["start_s"]) * 10)
    assert len(positions(data["motions"][panel["motion"]])) == num_frames
    assert f"{page} shows 1 query" in result.stderr  # standard output is JSON alone


def test_windows_are_found_by_their_ids(search, folder, tmp_path):
    page = tmp_path / "page.html"
    search(folder / "asked.npz", "--gallery", "days", "--html", page, "--recordings", folder / "added")
    found = panels(page)[0]

    assert ("day/c4@8-24", None, True) in found
    assert all(moves for _, _, moves in found)


def test_a_bad_page_option_is_refused_before_the_server_is_asked(search, folder, tmp_path):
    before = (folder / "asked.npz").read_bytes()
    missing = tmp_path / "nowhere"

    assert "must end in .html" in search(folder / "added", "--html", folder / "asked.npz", code=2).stderr
    assert (folder / "asked.npz").read_bytes() == before
    assert "add --html" in search(folder / "asked.npz", "--recordings", folder, code=2).stderr
    refused = search(folder / "asked.npz", "--html", tmp_path / "page.html", "--recordings", missing, code=2)
    assert "does not exist" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_stored_items_are_shown_with_all_that_is_known_of_them(get):
    said = get("people/c2", "day/c4@8-24", code=1).stderr
    assert "day/c4@8-24" in said  # which is in another gallery
    row = get("day/c4@8-24", "--gallery", "days").stdout.splitlines()[1]
    assert " ".join(row.split()) == "day/c4@8-24 camera 0, subject unknown day/c4 0.80 2.40 16 of 16 frames"
    values = json.loads(get("people/c2", "--json").stdout)
    assert (values["id"], values["label"], values["source"]) == ("people/c2", "wave", None)
    assert values["motion"] == {"frame_numbers": list(range(9)), "fps": 10.0, "num_bodies": 1}
    assert len(values["embedding"]) == SIZE


def test_a_page_of_stored_items_has_their_recordings_or_else_their_copies(get, folder, tmp_path):
    page = tmp_path / "page.html"
    said = get("people/c3", "people/c2", "--html", page).stdout
    (row,) = data_of(page.read_text())["rows"]
    shown = row["neighbours"]
    copy = "the gallery's copy, 9 of 9 frames"
    assert [(each["title"], each["subtitle"]) for each in shown] == [
        ("sit", f"people/c3 · {copy}"),
        ("wave", f"people/c2 · {copy}"),
    ]
    assert all(each["motion"] is not None for each in shown)
    assert f"{page} shows 2 items" in said
    get("people/c3", "--html", page, "--recordings", folder / "added")
    assert data_of(page.read_text())["rows"][0]["neighbours"][0]["subtitle"] == "people/c3"


def test_a_page_of_items_without_copies_says_what_to_give(get, tmp_path, address_without_copies):
    page = tmp_path / "page.html"
    said = get("people/c2", "--html", page, "--address", address_without_copies).stdout
    assert "Neither a recording nor a copy was found for 1 item." in said
    assert "--recordings" in data_of(page.read_text())["rows"][0]["neighbours"][0]["missing"]


def test_a_bad_page_option_of_get_is_refused(get, folder, tmp_path):
    assert "must end in .html" in get("people/c2", "--html", tmp_path / "page.txt", code=2).stderr
    assert "add --html" in get("people/c2", "--recordings", folder, code=2).stderr
