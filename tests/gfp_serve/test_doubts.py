"""What a clip looks like, and what is told to whoever sent it."""

import numpy as np
import pytest

from gfp_serve.doubts import Doubt, Look, doubts_about_found, look_at, marks_of
from gfp_serve.items import Neighbour
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.person import waving

ROOT = NTU25.joint_names.index("SpineBase")


def looked_at(sequence: np.ndarray, config: CleanConfig | None = None) -> Look:
    return look_at(clean(sequence.astype(np.float32), NTU25, config or CleanConfig()))


def kinds(look: Look) -> list[str]:
    return [doubt.kind for doubt in look.doubts]


def found(*attributes: dict) -> list[Neighbour]:
    return [Neighbour(str(number), "", 0.5, each, None) for number, each in enumerate(attributes)]


def test_an_upright_person_in_metres_who_walks_is_not_doubted():
    assert looked_at(waving()) == Look(dimensions=3, travels=True)


@pytest.mark.parametrize(
    ("turned", "axis"),
    [(waving() * (1, -1, -1), "-y"), (waving()[..., [0, 2, 1]], "z"), (waving()[..., [0, 2, 1]] * (1, 1, -1), "-z")],
)
def test_another_axis_that_seems_to_point_up_is_named(turned, axis):
    (doubt,) = looked_at(turned).doubts
    assert doubt.kind == "up"
    assert f"as if {axis} were up" in doubt.text


def test_who_bends_down_for_less_than_half_of_the_clip_is_not_upside_down():
    sequence = waving()
    sequence[:20, :, :, 1] *= -1
    assert kinds(looked_at(sequence)) == []


def test_a_mirrored_person_is_named():
    assert kinds(looked_at(waving() * (-1, 1, 1))) == ["hand"]
    exchanged = waving()
    for left, right in NTU25.pairs:
        exchanged[:, :, [left, right]] = exchanged[:, :, [right, left]]
    assert kinds(looked_at(exchanged)) == ["hand"]
    sometimes = waving()
    sometimes[:30, :, :, 0] *= -1
    assert kinds(looked_at(sometimes)) == []


@pytest.mark.parametrize(("factor", "length"), [(0.1, "0.05 m"), (3, "1.5 m")])
@pytest.mark.parametrize("config", [CleanConfig(), CleanConfig(scale_torso=True, align_view=True)])
def test_a_trunk_that_is_not_a_persons_is_told_with_its_length(factor, length, config):
    (doubt,) = looked_at(factor * waving(), config).doubts
    assert doubt.kind == "unit"
    assert f"the trunk is {length} long" in doubt.text


def test_a_root_that_is_held_in_place_does_not_travel():
    held = waving() - waving()[:, :, [ROOT]]
    assert not looked_at(held).travels
    assert looked_at(waving(travel_m=0.02)).travels
    assert looked_at(np.repeat(waving()[:1], 20, axis=0)).travels  # nothing moves, so it says nothing


def test_a_clip_without_depth_is_2d_and_has_no_unit():
    flat = 3 * waving() * (1, 1, 0)
    assert looked_at(flat) == Look(dimensions=2, travels=True)


def test_only_what_is_unusual_is_marked_on_an_item():
    assert marks_of(Look(3, travels=True)) == {}
    assert marks_of(Look(2, travels=False)) == {"dimensions": 2, "travels": False}


def test_items_of_the_same_kind_are_not_doubted():
    assert doubts_about_found(Look(3, travels=True), found({}, {"dimensions": 3})) == []
    assert doubts_about_found(Look(3, travels=True), []) == []
    assert doubts_about_found(Look(2, travels=False), found({"dimensions": 2, "travels": False})) == []


@pytest.mark.parametrize(
    ("look", "items", "kind", "said"),
    [
        (Look(2, travels=True), [], "dimensions", "the gallery has none"),
        (
            Look(2, travels=True),
            [{}, {"dimensions": 2}],
            "dimensions",
            "2-D joints, and 1 of the 2 items found have not",
        ),
        (Look(3, travels=True), [{"dimensions": 2}], "dimensions", "3-D joints, and 1 of the 1"),
        (Look(3, travels=False), [{}, {}], "travel", "the hips of the query are in one place"),
        (Look(3, travels=True), [{"travels": False}], "travel", "the hips of the items found are in one place"),
    ],
)
def test_items_of_another_kind_are_told(look, items, kind, said):
    (doubt,) = doubts_about_found(look, found(*items))
    assert isinstance(doubt, Doubt)
    assert doubt.kind == kind
    assert said in doubt.text


def test_an_encoder_for_which_travel_does_not_count_brings_no_doubt_of_it():
    assert doubts_about_found(Look(3, travels=False), found({}), sees_travel=False) == []


def test_some_items_that_travel_as_the_clip_does_are_enough():
    assert doubts_about_found(Look(3, travels=False), found({}, {"travels": False})) == []
