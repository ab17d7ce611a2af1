"""Clips of recordings are sent in batches; those that the server refuses are left out."""

import dataclasses

import numpy as np
import pytest

from gfp_serve.client.recordings import CLIPS_PER_REQUEST, Recordings, WindowPlan
from gfp_serve.errors import DamagedFileError, InvalidRequestError, InvalidSkeletonError
from gfp_serve.formats import READERS, TEST_SPLIT, Clip, Remark, write_clip_file
from gfp_serve.formats.remark import Step
from gfp_serve.layouts import KINECT20, NTU25
from tests.support.tiny_bundle import walk


def clip(name, *, layout=NTU25, bad=False, frames=9):
    sequence = walk(1, layout=layout, frames=frames)
    if bad:
        sequence[:] = np.nan
    return Clip(name=name, sequence=sequence, layout=layout, fps=30.0)


class FakeServer:
    """Refuses sequences that show nobody, and names the first, as a server does. Remembers what it was sent.

    A proxy before it refuses messages of more frames than `most_frames`, without a field.
    """

    def __init__(self, most_frames=None):
        self.requests = []
        self.most_frames = most_frames

    def __call__(self, batch):
        self.requests.append([each.clip.name for each in batch])
        if self.most_frames is not None and sum(len(each.sequence) for each in batch) > self.most_frames:
            raise InvalidRequestError("too large; send less at once.")
        for place, each in enumerate(batch):
            if np.isnan(each.sequence).all():
                raise InvalidSkeletonError("nobody is seen.", field=f"items[{place}].sequence")
        return [each.id for each in batch]


@pytest.fixture
def sent(tmp_path):
    """A function that sends clips of one file; it returns the ids answered, the reports, and the server."""

    def send(clips, windows=None, *, most_frames=None, clips_per_request=CLIPS_PER_REQUEST, **given):
        write_clip_file(tmp_path / "a.npz", clips)
        server, problems = FakeServer(most_frames), []
        recordings = Recordings([tmp_path / "a.npz"], report=problems.append, **given)
        answered = list(recordings.answered(server, windows, clips_per_request=clips_per_request))
        assert all(recorded.id == answer for recorded, answer in answered)
        return [answer for _, answer in answered], problems, server

    return send


def test_good_clips_take_one_request_a_batch(sent):
    names = [f"c{number}" for number in range(CLIPS_PER_REQUEST + 3)]
    ids, problems, server = sent([clip(name) for name in names])
    assert ids == [f"a/{name}" for name in names]
    assert problems == []
    assert [len(request) for request in server.requests] == [CLIPS_PER_REQUEST, 3]


def test_a_refused_clip_costs_one_more_request_and_is_left_out(sent, tmp_path):
    clips = [clip("c0"), clip("c1"), clip("bad", bad=True), clip("c2")]
    ids, problems, server = sent(clips)
    assert ids == ["a/c0", "a/c1", "a/c2"]
    assert problems == [f"{tmp_path / 'a.npz'}, clip 'bad': nobody is seen."]
    assert server.requests == [["c0", "c1", "bad", "c2"], ["c0", "c1", "c2"]]


def test_a_bad_clip_among_many_costs_one_request_and_bad_clips_alone_cost_one_each(sent):
    one_bad = [clip(f"c{n}", bad=n == 40) for n in range(3 * CLIPS_PER_REQUEST)]
    assert len(sent(one_bad)[2].requests) == 3 + 1
    all_bad = [clip(f"c{n}", bad=True) for n in range(2 * CLIPS_PER_REQUEST)]
    ids, problems, server = sent(all_bad)
    assert (ids, len(problems)) == ([], len(all_bad))
    assert len(server.requests) == len(all_bad)


def test_a_server_that_takes_fewer_clips_gets_no_request_of_more(sent):
    ids, _, server = sent([clip(f"c{n}", bad=n == 5) for n in range(9)], clips_per_request=4)
    assert len(ids) == 8
    assert [len(request) for request in server.requests] == [4, 4, 4]


def test_requests_that_are_refused_as_wholes_become_smaller_and_stay_so(sent):
    names = [f"c{number}" for number in range(2 * CLIPS_PER_REQUEST)]
    room = CLIPS_PER_REQUEST // 4
    ids, problems, server = sent([clip(name, frames=9) for name in names], most_frames=9 * room)
    assert ids == [f"a/{name}" for name in names]
    assert problems == []
    assert [len(request) for request in server.requests] == [4 * room, 2 * room] + [room] * 8


def test_a_clip_that_is_refused_alone_is_left_out_and_requests_grow_again(sent, tmp_path):
    clips = [clip(f"c{number}", frames=500 if number == 5 else 9) for number in range(3 * CLIPS_PER_REQUEST)]
    ids, problems, server = sent(clips, most_frames=9 * CLIPS_PER_REQUEST)
    assert ids == [f"a/{each.name}" for each in clips if each.name != "c5"]
    assert problems == [f"{tmp_path / 'a.npz'}, clip 'c5': too large; send less at once."]
    assert max(map(len, server.requests[len(server.requests) // 2 :])) == CLIPS_PER_REQUEST


def test_many_refused_clips_in_a_row_are_sent_only_a_few_times(sent):
    ids, problems, server = sent([clip("first"), *(clip(f"bad{n}", bad=True) for n in range(100)), clip("last")])
    assert ids == ["a/first", "a/last"]
    assert len(problems) == 100
    num_sent = sum(map(len, server.requests))
    assert num_sent < 102 + 3 * CLIPS_PER_REQUEST


def test_every_clip_is_answered_once_and_in_order_however_many_are_refused(sent):
    bad = set(np.random.default_rng(0).choice(200, 60, replace=False).tolist())
    ids, problems, _ = sent([clip(f"c{number}", bad=number in bad) for number in range(200)])
    assert ids == [f"a/c{number}" for number in range(200) if number not in bad]
    assert len(problems) == 60


def test_clips_of_different_layouts_are_not_sent_together(sent):
    _, _, server = sent([clip("c0")])
    assert server.requests == [["c0"]]
    layouts = []
    files = [[clip("c0"), clip("c1")], [clip("k0", layout=KINECT20)]]
    for clips in files:
        ids, _, server = sent(clips)
        layouts.append((ids, server.requests))
    assert layouts == [(["a/c0", "a/c1"], [["c0", "c1"]]), (["a/k0"], [["k0"]])]


def test_an_error_of_the_whole_request_is_raised(tmp_path):
    write_clip_file(tmp_path / "a.npz", [clip("c0")])

    def refuse(batch):
        raise InvalidRequestError("it is 0.", field="top_k")

    with pytest.raises(InvalidRequestError, match="top_k: it is 0"):
        list(Recordings([tmp_path / "a.npz"]).answered(refuse))


def test_refused_windows_of_a_clip_are_reported_together(sent, tmp_path):
    long = clip("long", frames=40)
    long.sequence[8:32] = np.nan
    ids, problems, _ = sent([long, clip("short")], WindowPlan([(8, 8)]))
    assert ids == ["a/long@0-8", "a/long@32-40", "a/short@0-8"]
    assert problems == [f"{tmp_path / 'a.npz'}, clip 'long': 3 of 5 windows, the first 'long@8-16': nobody is seen."]


def test_only_clips_on_the_chosen_side_of_the_split_are_sent(sent):
    clips = [dataclasses.replace(clip(f"c{split}"), split=split) for split in (0, 1)]
    assert sent(clips, split=1)[0] == ["a/c1"]


def test_clips_of_files_of_one_name_have_ids_that_differ(tmp_path):
    for folder in ("s1", "s2"):
        (tmp_path / folder).mkdir()
        write_clip_file(tmp_path / folder / "walk.npz", [clip("c", bad=folder == "s2", frames=20)])
    write_clip_file(tmp_path / "s2" / "run.npz", [clip("c")])
    problems = []
    answered = Recordings([tmp_path / "s1", tmp_path], report=problems.append).answered(FakeServer())
    assert [id for _, id in answered] == ["s1/walk/c", "run/c"]
    assert problems == [f"{tmp_path / 's2' / 'walk.npz'}, clip 'c': nobody is seen."]

    (window,) = [each.id for each, _ in Recordings([tmp_path]).answered(FakeServer(), WindowPlan([(20, 20)]))]
    assert window == "s1/walk/c@0-20"


def test_a_rule_for_labels_decides_label_and_split(tmp_path):
    write_clip_file(tmp_path / "walk.npz", [clip("c0")])
    write_clip_file(tmp_path / "sit.npz", [clip("c0")])
    (tmp_path / "labels.csv").write_text("file,label,subject,split\nwalk,stroll,7,test\nsit.npz,rest,8,train\n")
    recordings = Recordings([tmp_path], split=TEST_SPLIT, label_from=str(tmp_path / "labels.csv"))
    (item,) = [each.as_item() for each, _ in recordings.answered(FakeServer())]
    assert (item.id, item.label, item.attributes["subject"]) == ("walk/c0", "stroll", "7")


def test_what_readers_say_is_a_problem_if_a_clip_is_left_out_and_otherwise_a_remark(tmp_path, monkeypatch):
    def read(_):
        yield Remark("it was turned.")
        yield clip("c0")
        yield Remark("it is cut off.", left_out="c1")

    monkeypatch.setitem(READERS, ".npz", read)
    (tmp_path / "a.npz").touch()
    problems = []
    recordings = Recordings([tmp_path], report=problems.append)
    assert [id for _, id in recordings.answered(FakeServer())] == ["a/c0"]
    assert problems == [f"{tmp_path / 'a.npz'}, clip 'c1': it is cut off."]
    assert recordings.remarks.lines() == [f"{tmp_path / 'a.npz'}: it was turned."]


def test_progress_reaches_all_bytes_at_the_end(tmp_path):
    write_clip_file(tmp_path / "a.npz", [clip("c0"), clip("bad", bad=True)])
    write_clip_file(tmp_path / "b.npz", [clip("c0", frames=40)])
    done = []
    recordings = Recordings([tmp_path])
    list(recordings.answered(FakeServer(), advance=done.append))
    assert sum(done) == pytest.approx(recordings.num_bytes)


def test_a_reader_that_says_how_far_it_is_moves_the_progress_before_its_clip(tmp_path, monkeypatch):
    def read(_):
        yield Step(0.25)
        yield Step(0.5)
        assert done == [25, 50]
        yield clip("c0")

    monkeypatch.setitem(READERS, ".npz", read)
    (tmp_path / "a.npz").write_bytes(bytes(100))
    done: list[float] = []
    list(Recordings([tmp_path]).answered(FakeServer(), advance=done.append))
    assert sum(done) == 100


def test_a_path_without_recordings_is_refused(tmp_path):
    with pytest.raises(DamagedFileError, match="does not exist"):
        Recordings([tmp_path / "none.npz"])
