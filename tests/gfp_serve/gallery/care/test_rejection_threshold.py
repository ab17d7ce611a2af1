import json
import math
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gfp_serve.classify import nearest, vote
from gfp_serve.cli.ask import gfp
from gfp_serve.errors import InvalidRequestError
from gfp_serve.gallery.care.rejection_threshold import Calibration, calibrate_unknown
from gfp_serve.gallery.embedded.folders import existing_folder, stored_items
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.items import Item, Source


def at(degrees: float, label: str = "", *, recording: str | None = None, **attributes: str | float | bool) -> Item:
    """An item in a plane. Its similarity to another item is the cosine of the angle between them."""
    vector = np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], dtype=np.float32)
    source = None if recording is None else Source(recording)
    return Item(f"{degrees:g}", vector, label, attributes, source)


def cosine(degrees: float) -> float:
    return pytest.approx(math.cos(math.radians(degrees)), abs=3e-6)


# The nearest items of the other class are 60, 50, 50 and 65 degrees away.
TWO_CLASSES = [at(0, "sit"), at(10, "sit"), at(60, "walk"), at(75, "walk")]


def drawn(num_items: int, *, seed: int = 3) -> list[Item]:
    """Items of four overlapping classes, one of them rare. Some have no label, some no subject."""
    random = np.random.default_rng(seed)
    labels = random.choice(["sit", "walk", "wave", "fall", ""], num_items, p=[0.4, 0.3, 0.1, 0.05, 0.15])
    middles = {label: random.normal(size=6) for label in np.unique(labels)}
    return [
        Item(
            str(number),
            (middles[label] + random.normal(size=6)).astype(np.float32),
            str(label),
            {} if number % 11 == 0 else {"subject": int(random.integers(7))},
        )
        for number, label in enumerate(labels)
    ]


def test_no_stranger_passes_where_none_may_and_all_that_are_known_still_do():
    found = calibrate_unknown(TWO_CLASSES, false_accept=0)
    assert found.unknown_below == cosine(50)
    assert (found.known.tolist(), found.known_right.all()) == ([cosine(10), cosine(10), cosine(15), cosine(15)], True)
    assert found.strangers.tolist() == [cosine(60), cosine(50), cosine(50), cosine(65)]
    assert (found.strangers_accepted, found.known_rejected, found.accuracy_of_accepted) == (0, 0, 1)
    assert (found.num_items, found.num_classes, found.num_groups, found.separation) == (4, 2, 0, 1)


@pytest.mark.parametrize(
    ("share", "degrees", "accepted"), [(0.24, 50, 0), (0.25, 50, 0), (0.5, 60, 0.5), (0.75, 65, 0.75)]
)
def test_the_threshold_is_the_lowest_that_keeps_the_other_strangers_out(share, degrees, accepted):
    # Two strangers are 50 degrees away, so one of the four cannot pass without the other.
    found = calibrate_unknown(TWO_CLASSES, false_accept=share)
    assert (found.unknown_below, found.strangers_accepted) == (cosine(degrees), accepted)
    assert (found.strangers >= found.unknown_below - 3e-6).mean() > share


@pytest.mark.parametrize("block", [1, 2**24])
@pytest.mark.parametrize("leave_out", [None, "subject"])
@pytest.mark.parametrize("how", [{}, {"balanced": True, "num_neighbours": 4}, {"weighting": "uniform"}])
def test_every_item_is_asked_for_as_a_server_without_it_would_answer(how, leave_out, block, monkeypatch):
    monkeypatch.setattr("gfp_serve.gallery.care.rejection_threshold.BLOCK_SIMILARITIES", block)
    items = drawn(60)
    found = calibrate_unknown(items, leave_out=leave_out, **how)
    how = {"num_neighbours": 5, **how}
    num_neighbours, balanced = how.pop("num_neighbours"), how.pop("balanced", False)

    def ask(item: Item, others: list[Item], unknown_below: float | None = None) -> tuple[str | None, float]:
        places, near = nearest(item.vector[None], np.stack([other.vector for other in others]), top_k=num_neighbours)
        labels = [others[place].label for place in places[0]]
        counts = Counter(other.label for other in others) if balanced else None
        answer = vote(labels, near[0], class_counts=counts, unknown_below=unknown_below, **how).label
        return answer, max((each for each, label in zip(near[0], labels, strict=True) if label), default=-math.inf)

    known, strangers, passed = [], [], 0
    for item in filter(lambda item: item.label, items):
        subject = item.attributes.get("subject") if leave_out else None
        rest = [
            each
            for each in items
            if each is not item and (subject is None or each.attributes.get("subject") != subject)
        ]
        if item.label in {each.label for each in rest}:
            answer, similarity = ask(item, rest)
            known.append((similarity, answer == item.label))
        others = [each for each in rest if each.label != item.label]
        strangers.append(ask(item, others)[1])
        passed += ask(item, others, found.unknown_below)[0] is not None
    np.testing.assert_allclose(found.known, [similarity for similarity, _ in known], atol=1e-6)
    np.testing.assert_allclose(found.strangers, strangers, atol=1e-6)
    assert found.known_right.tolist() == [right for _, right in known]
    assert 0.2 < found.accuracy < 1
    assert passed / len(strangers) == found.strangers_accepted <= 0.05


def test_windows_of_one_recording_do_not_make_it_look_easy():
    recordings = [(0, "sit", "a", "Ada"), (40, "walk", "b", "Ada"), (50, "sit", "c", "Bob"), (95, "walk", "d", "Bob")]
    windows = [
        at(degrees + step, label, recording=recording, person=person)
        for degrees, label, recording, person in recordings
        for step in (0, 1)
    ]
    assert calibrate_unknown(windows, num_neighbours=1).accuracy == 1
    apart = calibrate_unknown(windows, num_neighbours=1, leave_out="recording")
    assert (apart.accuracy, apart.num_groups) == (0, 4)
    # For a stranger, the rest of its recording or person is left out too.
    apart = calibrate_unknown(windows, num_neighbours=1, leave_out="person")
    assert apart.strangers.tolist() == [cosine(degrees) for degrees in (95, 94, 10, 9, 9, 10, 94, 95)]


def test_what_no_other_item_could_name_is_a_stranger_only():
    found = calibrate_unknown([*TWO_CLASSES, at(180, "wave"), at(170)])
    assert (len(found.known), len(found.strangers), found.num_items, found.num_classes) == (4, 5, 6, 3)


def test_neighbours_without_label_take_the_places_of_voters():
    crowd = [at(181 + step) for step in range(5)]
    found = calibrate_unknown([*TWO_CLASSES, at(180, "sit"), *crowd])
    assert (found.known[-1], found.known_right[-1], found.strangers[-1]) == (-math.inf, False, -math.inf)


def test_shares_are_of_known_items_and_the_accuracy_is_of_those_that_pass():
    found = Calibration(
        unknown_below=0.5, num_items=9, num_classes=2, num_groups=0,
        known=np.array([0.9, 0.8, 0.6, 0.5, 0.1], dtype=np.float32),
        known_right=np.array([True, True, False, True, False]),
        strangers=np.array([0.6, 0.5, 0.4, -math.inf], dtype=np.float32),
    )  # fmt: skip
    assert (found.strangers_accepted, found.known_rejected) == (0.5, pytest.approx(0.2))
    assert (found.accuracy, found.accuracy_of_accepted, found.wrong_accepted) == (0.6, 0.75, pytest.approx(0.2))
    # Nearer than a stranger: 4 + 4 + 3.5 + 2.5 + 1 of 20 pairs; a tie counts half.
    assert found.separation == 0.75


@pytest.mark.parametrize(
    ("items", "how", "expected"),
    [
        ([at(0, "sit")], {}, "has 1 items"),
        ([at(0), at(10)], {}, "none of the 2 items of the gallery has a label"),
        ([at(0, "sit"), at(10, "sit"), at(20)], {}, "have the same class, 'sit'"),
        ([at(0, "sit"), at(10, "walk")], {}, "only one item"),
        (TWO_CLASSES, {"leave_out": "recording"}, "has a source recording"),
        ([at(0, "sit", who="Ada"), at(10, "walk")], {"leave_out": "subject"}, "has an attribute 'subject'.*'who'"),
        ([at(0, "sit", who=1), at(5, "sit", who=1), at(9, "walk", who=True)], {"leave_out": "who"}, "two different"),
        ([*TWO_CLASSES, at(0, "walk"), at(60, "sit")], {}, "equal an item of another class"),
        (TWO_CLASSES, {"false_accept": 1}, "below 1"),
        (TWO_CLASSES, {"num_neighbours": 0}, "at least 1"),
        (TWO_CLASSES, {"temperature": 0.0}, "temperature"),
    ],
)  # fmt: skip
def test_a_gallery_or_a_setting_that_can_tell_nothing_is_refused_in_words(items, how, expected):
    with pytest.raises(InvalidRequestError, match=expected):
        calibrate_unknown(items, **how)


@pytest.fixture
def galleries(tmp_path: Path) -> Iterator[FolderGalleries]:
    """Galleries that are open elsewhere. The gallery "people" has items."""
    with closing(FolderGalleries(tmp_path / "galleries", encoder_digest="d" * 64, embedding_size=6)) as galleries:
        galleries.create("people").upsert([replace(item, source=Source("a", 0.5, 1.5)) for item in drawn(60)])
        yield galleries


@pytest.fixture
def root(galleries: FolderGalleries, tmp_path: Path) -> Path:
    return tmp_path / "galleries"


def run(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(gfp, ["gallery", "calibrate", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


def test_all_items_can_be_read_while_the_gallery_is_open_and_written(galleries, root):
    reading = stored_items(existing_folder(root, "people"))
    items = [next(reading)]
    galleries["people"].upsert(drawn(1))
    items += reading
    for item, given in zip(items, drawn(60), strict=True):
        assert (item.id, item.label, item.attributes) == (given.id, given.label, given.attributes)
        assert item.source == Source("a", 0.5, 1.5)
        np.testing.assert_allclose(item.vector, given.vector / np.linalg.norm(given.vector), atol=1e-6)
    again = [item.id for item in stored_items(existing_folder(root, "people"))]
    assert again == [str(number) for number in (*range(1, 60), 0)] == [item.id for item in galleries["people"].items()]


def test_the_command_prints_what_was_measured_and_draws_it(root, tmp_path):
    expected = calibrate_unknown(drawn(60), leave_out="subject", num_neighbours=3, balanced=True, false_accept=0.2)
    asked = [root, "--gallery", "people", "--leave-out", "subject", "--num-neighbours", 3, "--balanced"]
    asked += ["--false-accept", 0.2]
    printed = json.loads(run(*asked, "--json").stdout)
    assert printed["unknown_below"] == expected.unknown_below
    assert printed["strangers_accepted"] == expected.strangers_accepted
    assert printed["accuracy_of_accepted"] == expected.accuracy_of_accepted
    assert (printed["num_items"], printed["num_classes"], printed["num_left_out_together"]) == (60, 4, 7)
    table = run(*asked, "--plot", tmp_path / "found.png").stdout
    assert f"{expected.unknown_below:.6f}" in table
    assert f"{100 * expected.known_rejected:.1f} % of {len(expected.known)}" in table
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_calibrated_or_drawn_is_told_in_words(root, tmp_path, monkeypatch):
    assert "its galleries are default, people" in run(root, "--gallery", "crowd", code=1).output
    assert "has no gallery 'default'" in run(tmp_path / "nowhere", code=1).output
    assert "has 0 items" in run(root, code=1).output
    assert "must end in .png" in run(root, "--plot", "found.svg", code=2).output
    monkeypatch.delitem(sys.modules, "gfp_serve.gallery.care.threshold_figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "extra 'plot'" in run(root, "--plot", "found.png", code=1).output
