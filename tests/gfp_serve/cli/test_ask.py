"""The commands as a user runs them, against a real server with a tiny encoder."""

import dataclasses
import json
import os

import click
import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.cli.serve import gfp_serve
from gfp_serve.client import Client
from gfp_serve.client import recordings as recordings_of_client
from gfp_serve.config import ServeConfig
from gfp_serve.conventions import Conventions
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.items import Effort
from gfp_serve.layouts import KINECT20, NTU25, Layout
from tests.support.full_disk import file_size_limit
from tests.support.person import waving
from tests.support.servers import running_in_thread, small_config
from tests.support.tiny_bundle import SIZE, embedding_of, walk

# All joints of ntu25, in an order that no known layout has.
TURNED = Layout("custom", NTU25.joint_names[::-1], tuple(-1 if p == -1 else 24 - p for p in NTU25.parents[::-1]))


@pytest.fixture
def address(tmp_path):
    with running_in_thread(tmp_path) as address:
        yield address


@pytest.fixture
def run(address, monkeypatch):
    monkeypatch.setenv("GFP_ADDRESS", address)

    def run(*arguments, code=0):
        result = CliRunner().invoke(gfp, list(map(str, arguments)))
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return run


def clips(*seeds, layout=NTU25, split=-1):
    return [
        Clip(
            name=f"c{seed}",
            sequence=walk(seed, layout=NTU25)[:, :, ::-1] if layout is TURNED else walk(seed, layout=layout),
            layout=layout,
            fps=30.0,
            label="wave" if seed % 2 else "sit",
            subject=str(seed),
            split=split,
        )
        for seed in seeds
    ]


@pytest.fixture
def recordings(tmp_path):
    """A folder with two training clips in a.npz and one test clip in b.npz."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    write_clip_file(folder / "a.npz", clips(1, 2, split=0))
    write_clip_file(folder / "b.npz", clips(3, split=1))
    return folder


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_added_clips_are_found_by_file_and_name_with_their_label_and_attributes(run, recordings):
    assert (
        run("add", recordings).stdout == "3 clips were added; the gallery default has 3 items. The first id is a/c1.\n"
    )
    found = lines(run("search", recordings / "a.npz", "--top-k", 2, "--json"))
    assert [answer["clip"] for answer in found] == ["a/c1", "a/c2"]
    nearest = found[0]["neighbours"][0]
    assert (nearest["id"], nearest["label"], nearest["attributes"]["subject"]) == ("a/c1", "wave", "1")
    assert nearest["similarity"] == pytest.approx(1, abs=1e-4)
    assert len(found[0]["neighbours"]) == 2


def test_a_note_names_the_clip_that_the_server_warns_of(run, tmp_path):
    upside_down = waving() * np.float32([1, -1, -1])
    sequences = {"a": waving(), "b": upside_down, "c": upside_down}
    write_clip_file(
        tmp_path / "day.npz",
        [Clip(name=name, sequence=each, layout=NTU25, fps=30.0) for name, each in sequences.items()],
        conventions=Conventions(up="y", unit="m", hand="right"),
    )
    notes = run("add", tmp_path / "day.npz").stderr.splitlines()
    (note,) = [line for line in notes if line.startswith("note: day/")]
    assert note.startswith("note: day/b and 1 more of its request: it looks as if -y were up")


def test_clips_that_vote_for_themselves_are_counted(run, tmp_path):
    for name, seeds in (("day", (1, 2)), ("night", (1, 2, 3))):
        write_clip_file(tmp_path / f"{name}.npz", clips(*seeds))
    run("add", tmp_path / "day.npz")
    told = " ".join(run("classify", tmp_path / "day.npz").stderr.split())
    assert "2 of these clips are in the gallery themselves and voted for their own class." in told
    assert "voted for their own class" not in run("classify", tmp_path / "night.npz").stderr
    assert "voted" not in run("classify", tmp_path / "day.npz", "--where", "subject!=1,2").stderr


def test_add_says_what_was_new_what_was_replaced_and_what_the_gallery_has(run, recordings, address):
    run("add", recordings / "b.npz")
    replaced = "2 of them new and 1 in place of items with the same ids"
    holds = "the gallery default has 3 items."
    assert run("add", recordings).stdout == f"3 clips were added, {replaced}; {holds} The first id is a/c1.\n"
    again = run("add", recordings).stdout
    assert again == f"3 clips were added in place of items with the same ids; {holds} The first id is a/c1.\n"
    one = run("add", recordings / "b.npz").stdout
    assert one == f"1 clip was added in place of the item with the same id; {holds} Its id is b/c3.\n"
    run("gallery", "create", "other")
    windows = run("add", recordings / "b.npz", "--windows", "4:4", "--gallery", "other").stdout
    assert windows == "2 windows were added; the gallery other has 2 items. The first id is b/c3@0-4.\n"


def test_add_does_not_say_what_was_new_if_another_client_wrote_meanwhile(run, recordings, address, monkeypatch):
    real = Client.upsert

    def upsert(client, items, **given):
        real(client, [dataclasses.replace(items[0], id="theirs")], **given)
        return real(client, items, **given)

    monkeypatch.setattr(Client, "upsert", upsert)
    assert (
        run("add", recordings).stdout == "3 clips were added; the gallery default has 4 items. The first id is a/c1.\n"
    )


def test_files_of_one_name_become_items_of_their_own(run, tmp_path):
    for seed in (1, 2):
        (tmp_path / f"s{seed}").mkdir()
        write_clip_file(tmp_path / f"s{seed}" / "walk.npz", clips(seed))
    for _ in range(2):
        assert "the gallery default has 2 items" in run("add", tmp_path).stdout
    (answer,) = lines(run("search", tmp_path / "s2", "--top-k", 1, "--json"))
    assert (answer["clip"], answer["neighbours"][0]["id"]) == ("walk/c2", "s2/walk/c2")


def test_labels_of_a_folder_replace_those_of_the_files_and_files_without_one_are_named(run, recordings, tmp_path):
    run("add", recordings, "--label-from", "folder")
    said = run("classify", recordings, "--label-from", "(?P<label>a)[.]npz")
    assert "note: --label-from gives no label to 1 of 2 files: b.npz." in said.stderr
    assert "0 of 3 labelled clips" in said.stdout  # all items are called "recordings"
    assert "3 of 3 labelled clips" in run("classify", recordings, "--label-from", "folder").stdout
    assert "--label-from: '[a-z]' does not say" in run("add", recordings, "--label-from", "[a-z]", code=1).stderr


def test_a_table_is_drawn_without_json(run, recordings):
    run("add", recordings)
    table = run("search", recordings / "b.npz", "--top-k", 1).stdout
    assert all(word in table for word in ("b/c3", "1.000", "wave"))


def test_each_row_of_a_search_names_its_clip(run, recordings):
    run("add", recordings)
    _, *rows = run("search", recordings / "a.npz", "--top-k", 2).stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["a/c1", "a/c1", "a/c2", "a/c2"]


def test_a_table_of_classes_has_the_truth_and_the_accuracy_where_labels_are_known(run, recordings, tmp_path):
    run("add", recordings)
    (named,) = (line.split() for line in run("classify", recordings / "b.npz").stdout.splitlines() if "b/c3" in line)
    assert named[:3] == ["b/c3", "wave", "wave"]
    assert "2 of 2 labelled clips, 100.0 %, were" in run("classify", recordings / "a.npz").stdout
    write_clip_file(tmp_path / "new.npz", [dataclasses.replace(clip, label=None) for clip in clips(1)])
    table = run("classify", tmp_path / "new.npz").stdout
    assert [row.split()[:2] for row in table.splitlines()] == [["clip", "truth"], ["new/c1", "wave"]]


def test_brackets_in_labels_and_names_are_shown_as_they_are(run, tmp_path):
    (clip,) = clips(1)
    write_clip_file(tmp_path / "brackets.npz", [dataclasses.replace(clip, name="[/]", label="[/red] [bold]go")])
    run("add", tmp_path / "brackets.npz")
    for command in ("embed", "search", "classify"):
        table = run(command, tmp_path / "brackets.npz").stdout
        assert "brackets/[/]" in table
        assert "[/red] [bold]go" in table


def test_one_side_of_the_split_is_added_and_the_other_is_classified(run, recordings):
    assert "2 clips were added" in run("add", recordings, "--split", "train").stdout
    (answer,) = lines(run("classify", recordings, "--split", "test", "--num-neighbours", 2, "--json"))
    assert (answer["clip"], answer["true_label"]) == ("b/c3", "wave")
    assert sum(each["score"] for each in answer["scores"]) == pytest.approx(1)
    assert {voter["id"] for voter in answer["neighbours"]} == {"a/c1", "a/c2"}
    assert "of 1 labelled clips" in run("classify", recordings, "--split", "test").stdout


def test_a_clip_that_is_like_no_item_is_called_unknown(run, recordings):
    run("add", recordings / "a.npz")
    assert "unknown" in run("classify", recordings / "b.npz", "--unknown-below", 1).stdout
    (answer,) = lines(run("classify", recordings / "b.npz", "--unknown-below", 1, "--json"))
    assert answer["label"] is None


def test_vectors_are_printed_and_written(run, recordings, tmp_path):
    expected = [embedding_of(walk(seed)) for seed in (1, 2, 3)]
    printed = lines(run("embed", recordings, "--json"))
    np.testing.assert_allclose([answer["embedding"] for answer in printed], expected, atol=1e-5)
    run("embed", recordings, "--out", tmp_path / "new" / "v.npy")
    np.testing.assert_allclose(np.load(tmp_path / "new" / "v.npy"), expected, atol=1e-5)
    run("embed", recordings, "--out", tmp_path / "v.npz")
    with np.load(tmp_path / "v.npz") as written:
        assert written["names"].tolist() == ["a/c1", "a/c2", "b/c3"]
        assert written["labels"].tolist() == ["wave", "sit", "wave"]
        assert written["embeddings"].shape == (3, SIZE)


@pytest.mark.parametrize("name", ["v.npy", "v.npz"])
def test_a_full_disk_leaves_the_vectors_that_were_written_before(run, recordings, tmp_path, name):
    out = tmp_path / name
    out.write_bytes(b"before")
    with file_size_limit(100):
        said = run("embed", recordings, "--out", out, code=1).stderr
    assert f"{out} cannot be used: File too large" in said
    assert out.read_bytes() == b"before"


def test_an_out_file_of_another_kind_is_refused_before_anything_is_read(run, tmp_path):
    assert ".npy or .npz" in run("embed", tmp_path / "none.npz", "--out", "v.csv", code=2).output


@pytest.mark.parametrize("layout", [KINECT20, TURNED], ids=["known layout", "unknown layout"])
def test_clips_of_other_layouts_are_embedded_in_their_own_layout(run, tmp_path, layout):
    write_clip_file(tmp_path / "other.npz", clips(5, layout=layout))
    (answer,) = lines(run("embed", tmp_path / "other.npz", "--json"))
    expected = embedding_of(walk(5)) if layout is TURNED else embedding_of(walk(5, layout=KINECT20), KINECT20)
    np.testing.assert_allclose(answer["embedding"], expected, atol=1e-5)


def test_damaged_files_and_clips_without_anybody_are_named_and_the_others_are_added(run, recordings):
    (recordings / "damaged.npz").write_bytes(b"not a zip")
    nobody = clips(7)[0]
    nobody.sequence[:] = np.nan
    write_clip_file(recordings / "empty.npz", [nobody])
    result = run("add", recordings)
    assert "damaged.npz" in result.stderr
    assert "clip 'c7': nobody is seen" in result.stderr
    assert "3 clips were added" in result.stdout


def a_crowd_of_bad_ones():
    """Return three good clips, and bad ones: a long name, too many frames, all joints in one point."""
    sound = clips(1, 2, 3)
    still = dataclasses.replace(sound[0], name="still", sequence=np.ones_like(sound[0].sequence))
    long = dataclasses.replace(sound[0], name="long", sequence=np.tile(walk(1, frames=10), (1050, 1, 1, 1)))
    named = dataclasses.replace(sound[0], name="n" * 305)
    return [sound[0], named, long, sound[1], still, sound[2]]


def test_a_clip_that_the_server_refuses_is_named_and_its_neighbours_are_added(run, tmp_path):
    write_clip_file(tmp_path / "crowd.npz", a_crowd_of_bad_ones())
    result = run("add", tmp_path / "crowd.npz")
    assert "3 clips were added" in result.stdout
    for name, reason in (
        ("long", "10500 frames"),
        ("still", "there is no pose"),
        ("n" * 305, "characters; an id has 1"),
    ):
        (line,) = [line for line in result.stderr.splitlines() if f"crowd.npz, clip '{name}': " in line]
        assert line.startswith("skipped: ")
        assert reason in line
        assert "[0]" not in line


def test_a_file_larger_than_memory_is_sent_while_it_is_read(run, recordings, monkeypatch):
    read = []

    def read_many(file, **_):
        for number in range(100):
            read.append(number)
            yield dataclasses.replace(clips(1)[0], name=f"c{number}")

    def upsert(_, items, gallery):
        sent.append((len(read), [item.id for item in items]))
        return len(sent)

    sent = []
    monkeypatch.setattr(recordings_of_client, "read_clips", read_many)
    monkeypatch.setattr(Client, "upsert", upsert)
    assert "100 clips were added" in run("add", recordings / "a.npz").stdout
    assert [(num_read, len(ids)) for num_read, ids in sent] == [(32, 32), (64, 32), (96, 32), (100, 4)]
    assert [name for _, ids in sent for name in ids] == [f"a/c{number}" for number in range(100)]


def test_no_request_holds_more_clips_than_the_server_takes(tmp_path, recordings, monkeypatch):
    real, sizes = Client.upsert, []

    def upsert(client, items, **given):
        sizes.append(len(items))
        return real(client, items, **given)

    monkeypatch.setattr(Client, "upsert", upsert)
    write_clip_file(tmp_path / "many.npz", [dataclasses.replace(clips(1)[0], name=f"c{n}") for n in range(5)])
    with running_in_thread(tmp_path, small_config(max_sequences=2)) as address:
        result = CliRunner().invoke(gfp, ["add", str(tmp_path / "many.npz"), "--address", address])
    assert "5 clips were added" in result.stdout
    assert sizes == [2, 2, 1]


def test_without_a_name_the_server_chooses_its_default_gallery(run, recordings, monkeypatch):
    asked = []

    def delete(_, ids, gallery):
        asked.append(gallery)
        return len(ids)

    monkeypatch.setattr(Client, "delete", delete)
    monkeypatch.setattr(Client, "get", lambda *_, gallery: asked.append(gallery))
    run("remove", "a/c1")
    run("remove", "a/c1", "--gallery", "waves")
    assert asked == ["", "", "waves", "waves"]


@pytest.mark.parametrize("command", ["embed", "search", "classify"])
def test_a_clip_that_the_server_refuses_does_not_cost_its_neighbours_their_answers(run, recordings, tmp_path, command):
    run("add", recordings)
    write_clip_file(tmp_path / "crowd.npz", a_crowd_of_bad_ones())
    result = run(command, tmp_path / "crowd.npz", "--json")
    names = [answer["clip"] for answer in lines(result)]
    assert [name for name in names if "nnn" not in name] == ["crowd/c1", "crowd/c2", "crowd/c3"]
    assert "clip 'long': the sequence has 10500 frames" in result.stderr


def test_an_option_that_the_server_refuses_gives_one_line_and_not_one_for_each_clip(run, recordings):
    run("add", recordings)
    for arguments in (("search", "--top-k", 2000), ("search", "--top-k", 10**20), ("classify", "--temperature", 0)):
        result = run(*arguments, recordings, code=1)
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1


def test_if_all_clips_are_refused_the_exit_code_is_1(run, tmp_path):
    write_clip_file(tmp_path / "bad.npz", a_crowd_of_bad_ones()[1:3])
    assert "no usable clip" in run("add", tmp_path / "bad.npz", code=1).stderr


def test_a_file_name_that_is_not_utf_8_is_added_with_escapes_and_no_such_id_is_asked_for(run, tmp_path):
    path = tmp_path / os.fsdecode(b"bad\xff.npz")
    write_clip_file(path, clips(1))
    assert "1 clip was added" in run("add", path).stdout
    assert "bad\\udcff/c1" in run("embed", path).stdout
    assert "which is not UTF-8" in run("remove", os.fsdecode(b"\xff\xfe"), code=1).stderr


def test_without_a_usable_clip_the_exit_code_is_1(run, recordings, tmp_path):
    (tmp_path / "damaged.npz").write_bytes(b"not a zip")
    assert "no usable clip" in run("add", tmp_path / "damaged.npz", code=1).stderr
    (tmp_path / "none").mkdir()
    assert "folder without recordings" in run("embed", tmp_path / "none", code=1).stderr
    assert "of the test split" in run("add", recordings / "a.npz", "--split", "test", code=1).stderr
    assert "does not exist" in run("search", tmp_path / "nowhere.npz", code=1).stderr


def test_items_are_removed_by_id(run, recordings):
    run("add", recordings)
    removed = run("remove", "a/c1", "nobody")
    assert removed.stdout == "1 of 2 items were removed.\n"
    assert "has the id 'nobody'" in removed.stderr
    assert lines(run("remove", "a/c2", "--json")) == [{"removed": 1}]
    assert lines(run("info", "--json"))[0]["num_items"] == 1


def test_a_gallery_is_created_filled_searched_and_dropped_by_its_name(run, recordings):
    assert "use it with --gallery waves" in run("gallery", "create", "waves", "--index-kind", "exact").stdout
    run("add", recordings / "a.npz", "--gallery", "waves")
    run("add", recordings / "b.npz")
    (answer,) = lines(run("search", recordings / "b.npz", "--gallery", "waves", "--json"))
    assert {each["id"] for each in answer["neighbours"]} == {"a/c1", "a/c2"}
    (answer,) = lines(run("classify", recordings / "b.npz", "--gallery", "waves", "--json"))
    assert {voter["id"] for voter in answer["neighbours"]} == {"a/c1", "a/c2"}
    assert run("remove", "a/c1", "b/c3", "--gallery", "waves").stdout == "1 of 2 items were removed.\n"
    listed = {each["name"]: each for each in lines(run("gallery", "list", "--json"))}
    assert [(name, each["num_items"], each["index_kind"]) for name, each in listed.items()] == [
        ("default", 1, "auto"),
        ("waves", 1, "exact"),
    ]
    assert lines(run("gallery", "describe", "waves", "--json")) == [listed["waves"]]
    assert "auto (now exact)" in run("gallery", "list").stdout
    assert listed["default"]["encoder_digest"] in "".join(run("gallery", "describe").stdout.split())
    assert run("gallery", "drop", "waves", "--yes").stdout == "The gallery waves and its 1 items were removed.\n"
    assert "no gallery 'waves'" in run("search", recordings, "--gallery", "waves", code=1).stderr


def test_a_gallery_is_dropped_only_after_a_yes(run):
    run("gallery", "create", "kept")
    assert "Remove the gallery kept and its 0 items, for ever? [y/N]" in run("gallery", "drop", "kept", code=1).stderr
    assert len(lines(run("gallery", "list", "--json"))) == 2
    assert "cannot be dropped" in run("gallery", "drop", "default", "--yes", code=1).stderr


def test_only_items_that_meet_all_conditions_are_found(run, recordings):
    run("add", recordings)
    for where, ids in (
        (["label=wave"], {"a/c1", "b/c3"}),
        (["label=wave", 'subject!="1"'], {"b/c3"}),
        (["label=nothing"], set()),
    ):
        options = [part for text in where for part in ("--where", text)]
        (answer,) = lines(run("search", recordings / "b.npz", "--json", *options))
        assert {each["id"] for each in answer["neighbours"]} == ids
        (answer,) = lines(run("classify", recordings / "b.npz", "--json", *options))
        assert {voter["id"] for voter in answer["neighbours"]} == ids
    refusal = run("search", recordings, "--where", "label", code=1).stderr
    assert refusal.startswith("Error: the condition 'label'")
    assert refusal.count("\n") == 1
    refusal = run("search", recordings, *(["--where", "x=1"] * 65), code=1).stderr
    assert refusal.startswith("Error: --where: it has 65 conditions")
    assert refusal.count("\n") == 1


@pytest.mark.parametrize("moments", [[], ["--moments"]])
@pytest.mark.parametrize("condition", ["subjct=1", "subjct!=1", "!subjct>1"])
def test_a_condition_on_an_attribute_that_no_neighbour_has_is_pointed_out(run, recordings, condition, moments):
    run("add", recordings)
    said = "--where: no neighbour has the attribute 'subjct'; they have 'camera', 'subject'.\n"
    found = run("search", recordings / "b.npz", "--where", condition, *moments)
    assert said in found.stderr
    assert ("(nothing found)" in found.stdout) == (condition == "subjct=1")
    if not moments:
        assert run("classify", recordings / "b.npz", "--where", condition).stderr.startswith(said)


def test_conditions_that_no_item_meets_are_pointed_out_and_others_are_not(run, recordings):
    run("add", recordings)
    found = run("search", recordings / "b.npz", "--where", "subject=99")
    assert found.stderr == "--where: nothing was found for 'b/c3', because no item meets the conditions.\n"
    assert run("search", recordings / "b.npz", "--where", "subject!=3").stderr == ""
    assert "--where:" not in run("classify", recordings / "b.npz", "--where", "label=wave").stderr.replace(
        "such as --where", ""
    )


@pytest.mark.parametrize("words", [["--up", "-y"], ["--up=-y", "--unit", "m", "--hand", "right"]])
def test_the_conventions_of_files_can_be_said(run, tmp_path, words):
    upside_down = [dataclasses.replace(clip, sequence=clip.sequence * np.float32([-1, -1, 1])) for clip in clips(1, 2)]
    write_clip_file(tmp_path / "right.npz", clips(1, 2))
    write_clip_file(tmp_path / "turned.npz", upside_down)
    run("add", tmp_path / "right.npz")
    found = run("search", tmp_path / "turned.npz", *words, "--top-k", 1, "--json")
    assert "turned.npz: read as -y up, metres, right-handed.\n" in found.stderr
    (answer, _) = lines(found)
    assert answer["neighbours"][0]["id"] == "right/c1"
    assert answer["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-4)
    refused = run("search", tmp_path / "turned.npz", "--up", "down", code=2).stderr
    assert "'down' is not one of 'x', 'y', 'z', '-x', '-y', '-z'" in refused


@pytest.mark.parametrize("command", ["search", "classify"])
def test_clips_of_an_image_are_compared_with_clips_of_images_only(run, recordings, command):
    # The same motion without its depth, in pixels, y down.
    flat = [
        dataclasses.replace(clip, sequence=clip.sequence * np.float32([100, -100, 0]) + np.float32([300, 200, 0]))
        for clip in clips(1, 2, 3)
    ]
    write_clip_file(recordings / "image.npz", flat)
    said = run("add", recordings).stderr
    assert "image.npz: read as 2-D joints, " in said
    (answer, *_) = lines(run(command, recordings / "image.npz", "--json"))
    assert {each["id"] for each in answer["neighbours"]} == {"image/c1", "image/c2", "image/c3"}
    assert answer["neighbours"][0]["attributes"]["dimensions"] == 2
    (answer,) = lines(run(command, recordings / "b.npz", "--json"))
    assert "b/c3" in {each["id"] for each in answer["neighbours"]}


def test_moments_of_whole_clips_are_pointed_out(run, recordings):
    run("add", recordings)
    assert "because these items are whole clips" in run("search", recordings / "b.npz", "--moments").stderr
    run("gallery", "create", "windows")
    run("add", recordings, "--windows", "8:8", "--gallery", "windows")
    assert run("search", recordings / "b.npz", "--moments", "--gallery", "windows").stderr == ""


def test_effort_has_three_options_and_one_out_of_range_is_refused_in_one_line(run, recordings, monkeypatch):
    run("add", recordings)
    seen = []
    search = Client.search
    monkeypatch.setattr(Client, "search", lambda *given, effort, **more: seen.append(effort) or search(*given, **more))
    run("search", recordings / "b.npz", "--exact", "--ef-search", 99, "--nprobe", 7)
    run("search", recordings / "b.npz")
    assert seen == [Effort(exact=True, ef_search=99, nprobe=7), Effort()]
    refusal = run("classify", recordings, "--nprobe", 0, code=1).stderr
    assert refusal.startswith("Error: --nprobe: it is 0; it must lie between 1 and 65536")


def test_info_is_a_table_or_json(run):
    assert "CPUExecutionProvider" in run("info").stdout
    (values,) = lines(run("info", "--json"))
    assert (values["encoder_name"], values["limits"]["max_sequences"]) == ("tiny", 256)
    assert values["role"] == "admin"


def test_a_terminal_wraps_what_is_too_long_and_everything_else_gets_it_in_one_line(run, recordings, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    write_clip_file(recordings / f"{'long' * 20}.npz", clips(4))
    run("add", recordings)
    (values,) = lines(run("info", "--json"))
    commands = (("info",), ("search", recordings / "b.npz"), ("search", recordings / "b.npz", "--moments"))
    for command, said in zip(commands, (values["encoder_digest"], "long" * 20, "long" * 20), strict=True):
        assert said in run(*command).stdout
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    for command, said in zip(commands, (values["encoder_digest"], "long" * 20, "long" * 20), strict=True):
        shown = click.unstyle(run(*command).stdout)
        assert max(map(len, shown.splitlines())) == 40
        assert said not in shown
        assert "…" not in shown


def test_a_token_that_every_user_can_read_is_warned_of(run, tmp_path):
    (tmp_path / "token").write_text("0123456789abcdef")
    (tmp_path / "token").chmod(0o644)
    assert "every user of this machine can read the token in" in run("info", "--token-file", tmp_path / "token").stderr
    (tmp_path / "token").chmod(0o600)
    assert run("info", "--token-file", tmp_path / "token").stderr == ""


def test_health_sets_the_exit_code(run):
    assert run("health").stdout == "serving\n"
    assert run("health", "--service", "gfp_serve.v1.GalleryService", "--json").stdout == '{"serving": true}\n'
    assert "has no service of that name" in run("health", "--service", "gfp_serve.v1.Other", code=1).stderr
    assert "is gfp-serve running?" in run("health", "--address", "127.0.0.1:1", code=1).stderr


def test_an_empty_gallery_is_reported_in_one_line(run, recordings):
    result = run("search", recordings, code=1)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_every_option_and_command_has_a_help_text():
    for command in (gfp_serve, *gfp_serve.commands.values(), gfp, *gfp.commands.values()):
        assert command.help, command.name
        for option in command.params:
            assert isinstance(option, click.Argument) or option.help, (command.name, option.name)


def test_the_server_has_exactly_the_options_listed_here():
    # Each option is a promise to users. Add new ones here on purpose.
    names = {name for option in gfp_serve.params for name in option.opts} - {"--version"}
    assert names == {
        "--config",
        "--bundle",
        "--gallery",
        "--gallery-device",
        "--keep-motion",
        "--host",
        "--port",
        "--insecure",
        "--behind-proxy",
        "--tls-certificate",
        "--tls-key",
        "--tls-client-ca",
        "--tokens",
        "--http-allow-origin",
        "--http-port",
        "--metrics-host",
        "--metrics-port",
        "--log-format",
        "--log-level",
        "--access-log",
        "--audit-log",
        "--device",
        "--cuda-graphs",
        "--tensorrt-cache",
        "--trace-to",
        "--lanes",
        "--notice-s",
        "--num-threads",
        "--max-batch-bodies",
        "--max-admitted-bodies",
        "--max-admitted-neighbours",
        "--max-calls",
        "--max-connections",
        "--max-file-reads",
        "--max-idle-s",
        "--max-stream-bytes",
        "--max-streams",
        "--drain-s",
        "--keep-snapshots",
        "--snapshot-every-h",
        "--max-message-bytes",
        "--max-sequences",
        "--max-frames",
        "--max-bodies",
        "--max-top-k",
        "--max-item-bytes",
    }


def test_every_option_of_the_server_is_an_environment_variable(monkeypatch):
    seen = []
    monkeypatch.setattr("gfp_serve.server_process.serve", lambda config, _announce: seen.append(config) or _nothing())
    environment = {"GFP_SERVE_PORT": "0", "GFP_SERVE_MAX_TOP_K": "7", "GFP_SERVE_NUM_THREADS": "2"}
    result = CliRunner().invoke(gfp_serve, [], env=environment)
    assert result.exit_code == 0, result.output
    assert (seen[0].port, seen[0].limits.max_top_k, seen[0].num_threads) == (0, 7, 2)
    assert seen[0].device == ServeConfig().device


async def _nothing():
    return None
