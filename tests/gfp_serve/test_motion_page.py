"""The page of moving skeletons: what it stores, and that nothing in it can do harm."""

import dataclasses
import html
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.layouts import COCO17, KINECT20, NTU25
from gfp_serve.motion_page import (
    MOTION_BYTES,
    Motion,
    MotionPanel,
    MotionRow,
    MotionView,
    as_drawn,
    motion_page,
    write_motion_page,
)
from gfp_serve.v1.gallery_pb2 import Motion as MotionMessage
from tests.support.page_data import data_of, positions, seconds
from tests.support.tiny_bundle import walk

LEFT_HIP, RIGHT_HIP, HEAD = (NTU25.joint_names.index(name) for name in ("HipLeft", "HipRight", "Head"))


def page_of(*motions: Motion | None, title: str = "Neighbours", **panel: object) -> str:
    """Return a page with a row for each motion, whose only neighbour is itself."""
    panels = [MotionPanel(**{"title": "wave", "motion": motion, **panel}) for motion in motions]
    return motion_page([MotionRow(query=each, neighbours=[each]) for each in panels], title=title)


def motion(sequence: np.ndarray, *, layout=NTU25, fps: float = 30.0) -> Motion:
    return Motion(sequence=sequence, layout=layout, fps=fps)


def stored(sequence: np.ndarray, **how) -> np.ndarray:
    (packed,) = data_of(page_of(motion(sequence, **how)))["motions"]
    return positions(packed)


class Elements(HTMLParser):
    """Counts the elements of a page, and collects their links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "action", "srcset", "data", "poster")]


def test_positions_are_stored_as_they_are():
    sequence = walk(1, frames=12)
    sequence[-1] += 400.0  # metres
    np.testing.assert_array_equal(stored(sequence), sequence)


def test_motions_have_the_form_of_the_message_that_the_viewer_reads():
    (told,) = data_of(page_of(motion(walk(1))))["motions"]
    assert set(told) == {field.name for field in MotionMessage.DESCRIPTOR.fields}


@pytest.mark.parametrize("angle", [0.0, 1.0, 2.5, -2.0])
def test_what_is_drawn_faces_the_reader_whichever_way_the_person_faced(angle):
    sequence = walk(2)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = sequence @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], dtype=np.float32)
    found = as_drawn(turned, NTU25)

    x, _, z = found[0, 0, LEFT_HIP] - found[0, 0, RIGHT_HIP]
    assert x > 0  # the left hip is on the reader's right side
    assert z == pytest.approx(0, abs=0.003)
    np.testing.assert_allclose(found, as_drawn(sequence, NTU25), atol=0.003)


def test_a_joint_that_was_not_seen_is_not_stored():
    sequence = walk(3)
    sequence[2:5, 0, HEAD] = np.nan
    sequence[7, 0, HEAD, 1] = np.nan  # without one axis the joint counts as not seen
    lost = np.isnan(stored(sequence)).all(axis=-1)

    assert lost[[2, 3, 4, 7], 0, HEAD].all()
    assert lost.sum() == 4


def test_a_body_of_zeros_is_not_stored_but_a_joint_at_zero_is():
    sequence = walk(4, bodies=2)
    sequence[3, 1] = 0
    sequence[5, 0, HEAD] = 0
    lost = np.isnan(stored(sequence)).all(axis=-1)

    assert lost[3, 1].all()
    assert lost.sum() == NTU25.num_joints


def test_a_body_that_is_never_seen_is_not_stored():
    sequence = walk(5, bodies=2)
    one, two = sequence.copy(), sequence.copy()
    one[:, 1] = 0
    two[:, 0] = np.nan

    assert stored(sequence).shape[1] == 2
    assert stored(one).shape[1] == stored(two).shape[1] == 1


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_the_panel_of_a_clip_without_anybody_says_so(value):
    data = data_of(page_of(motion(np.full((4, 1, 25, 3), value, dtype=np.float32))))

    assert data["motions"] == []
    assert data["rows"][0]["query"]["motion"] is None
    assert data["rows"][0]["query"]["missing"] == "Nobody is seen in this clip."


def test_a_panel_without_motion_says_what_to_do():
    query = data_of(page_of(None, missing="Give it with --recordings."))["rows"][0]["query"]
    assert (query["motion"], query["missing"]) == (None, "Give it with --recordings.")


def test_a_long_clip_keeps_its_first_and_last_frame_and_its_duration():
    sequence = walk(7, frames=3000)
    (told,) = data_of(page_of(motion(sequence, fps=25.0)))["motions"]
    numbers = told["frame_numbers"]

    assert seconds(told) == 120
    assert (numbers[0], numbers[-1]) == (0, 2999)
    assert len(numbers) == told["num_frames"] < 3000
    np.testing.assert_array_equal(positions(told), sequence[numbers])


@pytest.mark.parametrize(("bodies", "frames"), [(1, 300), (2, 700)])
def test_a_page_of_six_queries_and_their_five_neighbours_stays_below_two_megabytes(bodies, frames):
    rows = []
    for query in range(6):
        panels = [
            MotionPanel(title="wave", motion=motion(walk(10 * query + k, frames=frames, bodies=bodies)))
            for k in range(6)
        ]
        rows.append(MotionRow(query=panels[0], neighbours=panels[1:]))
    page = motion_page(rows, title="Neighbours")
    stored_bytes = sum(len(packed["positions"]) for packed in data_of(page)["motions"])

    assert len(page.encode()) < 2_000_000
    assert 0.6 * MOTION_BYTES < stored_bytes <= MOTION_BYTES  # the page uses the room that it has


def test_a_clip_that_several_panels_show_is_stored_once():
    shared = motion(walk(1))
    assert len(data_of(page_of(shared, shared))["motions"]) == 1
    assert len(data_of(page_of(shared, motion(walk(2))))["motions"]) == 2


def test_a_layout_without_spine_has_lines_across():
    skeleton = data_of(page_of(motion(walk(1, layout=COCO17), layout=COCO17)))["layouts"]["coco17"]
    place = COCO17.joint_names.index
    across = [[place(f"left_{part}"), place(f"right_{part}")] for part in ("hip", "shoulder")]
    assert skeleton["bones"][-2:] == across
    assert skeleton["sides"][-2:] == "TT"


def test_bones_sides_and_head_follow_the_layout():
    skeletons = data_of(page_of(motion(walk(1)), motion(walk(1, layout=KINECT20), layout=KINECT20)))["layouts"]

    for layout in (NTU25, KINECT20):
        skeleton = skeletons[layout.name]
        assert skeleton["bones"] == [[joint, parent] for joint, parent in enumerate(layout.parents) if parent >= 0]
        assert skeleton["joints"] == layout.num_joints
        assert layout.joint_names[skeleton["head"]] == "Head"
        sides = {"L": "Left", "R": "Right"}
        drawn = [layout.joint_names[joint] for joint, _ in skeleton["bones"]]
        for name, side in zip(drawn, skeleton["sides"], strict=True):
            ending = sides.get(side)
            assert name.endswith(ending) if ending else not name.endswith(("Left", "Right"))


def test_layouts_of_one_name_are_kept_apart():
    # Files that bring their own skeletons call all of them "custom".
    mine, other = (dataclasses.replace(layout, name="custom") for layout in (NTU25, KINECT20))
    data = data_of(page_of(*(motion(walk(1, layout=layout), layout=layout) for layout in (mine, other, mine))))
    used = [data["layouts"][told["layout"]]["joints"] for told in data["motions"]]
    assert used == [25, 20, 25]
    assert len(data["layouts"]) == 2


def test_a_sequence_of_another_layout_is_refused():
    with pytest.raises(InvalidSkeletonError, match="25"):
        page_of(motion(walk(1, layout=KINECT20), layout=NTU25))


def test_text_that_looks_like_html_stays_text():
    evil = "</script><img src=x onerror=alert(1)><!--<script>&amp;@POLICY@\u2028"
    harmless = page_of(motion(walk(1)))
    page = page_of(motion(walk(1)), title=evil, subtitle=evil, verdict=evil)
    data = data_of(page)

    assert Elements(page).tags == Elements(harmless).tags
    assert data["title"] == data["rows"][0]["query"]["subtitle"] == data["rows"][0]["query"]["verdict"] == evil
    assert "<title>&lt;/script&gt;&lt;img src=x" in page


def test_a_name_that_is_not_utf8_can_be_written(tmp_path):
    name = b"f\xfcr".decode(errors="surrogateescape")
    rows = [MotionRow(query=MotionPanel(title="wave", subtitle=name, motion=motion(walk(1))), neighbours=[])]
    num_bytes = write_motion_page(tmp_path / "new" / "page.html", rows, title=name)

    assert (tmp_path / "new" / "page.html").stat().st_size == num_bytes
    assert b"<title>f?r</title>" in (tmp_path / "new" / "page.html").read_bytes()


def test_the_page_links_to_nothing_outside_itself_and_forbids_fetching():
    page = page_of(None)  # base64 data may hold any text
    (policy,) = re.findall('http-equiv="Content-Security-Policy" content="([^"]*)"', page)

    assert Elements(page).links == []
    # The name of XML's vocabulary is never asked for.
    assert set(re.findall(r"\w+://[\w.-]+", page)) == {"http://www.w3.org"}
    assert not re.findall(r"url\(|@import|fetch\(|XMLHttpRequest|import\(|WebSocket|eval\(|new Function", page)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_the_page_has_the_licence_of_the_library_that_is_in_it():
    assert "three.js authors" in page_of(None)


def test_the_same_rows_give_the_same_page():
    first, second = (page_of(motion(walk(1)), motion(walk(2, bodies=2))) for _ in range(2))
    assert first == second


def test_a_notebook_shows_the_page_in_a_frame_of_its_own() -> None:
    rows = [MotionRow(query=None, neighbours=[MotionPanel(title='a "quoted" <b>name</b>', missing="none")])]
    shown = MotionView(rows=rows, title='<"title">', height=300)._repr_html_()
    parts = shown.split('"')
    assert parts[0] == "<iframe srcdoc="  # quotes of the page do not end it
    assert html.unescape(parts[1]) == motion_page(rows, title='<"title">')
    assert "height: 300px" in shown
    assert "allow-same-origin" not in shown
