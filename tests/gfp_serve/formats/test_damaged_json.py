"""Whatever stands in a JSON file of a pose estimator, it is read or refused by its name; nothing else happens."""

import copy
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import Clip, read_clips
from gfp_serve.layouts import BODY25, COCO17, MEDIAPIPE33, OPENPOSE18

from .videos import flat_row, walking, write_json

_COCO, _MEDIAPIPE = walking(COCO17, 2), walking(MEDIAPIPE33, 2)
_LANDMARKS = [[{"x": x, "y": y, "z": 0.1, "visibility": 0.9} for x, y in each.tolist()] for each in _MEDIAPIPE]
_POSES = [each.reshape(-1).tolist() for each in walking(OPENPOSE18, 2) / 2000]
FILES: dict[str, Any] = {
    "openpose": {"people": [{"person_id": [1], "pose_keypoints_2d": flat_row(walking(BODY25, 1)[0])}]},
    "openpose in 3-D": {"people": [{"pose_keypoints_2d": [], "pose_keypoints_3d": [0.5, 1.0, 2.0, 1.0] * 25}]},
    "results": [
        {"image_id": f"{i}.jpg", "category_id": 1, "keypoints": flat_row(each), "score": 1.0, "idx": [1]}
        for i, each in enumerate(_COCO)
    ],
    "mmpose": {
        "meta_info": {"dataset_name": "coco", "keypoint_id2name": dict(enumerate(COCO17.joint_names))},
        "instance_info": [
            {"frame_id": i, "instances": [{"keypoints": each.tolist(), "keypoint_scores": [1.0] * 17, "track_id": 1}]}
            for i, each in enumerate(_COCO)
        ],
    },
    "ultralytics": [
        [{"name": "person", "track_id": 1, "keypoints": dict(zip("xy", each.T.tolist(), strict=True))}]
        for each in _COCO
    ],
    "kinetics": {
        "data": [
            {"frame_index": i, "skeleton": [{"pose": each, "score": [1.0] * 18}]} for i, each in enumerate(_POSES)
        ],
        "label": "yoga",
    },
    "nw-ucla": {"file_name": "a01_s01_e00_v01", "skeletons": [[[0.1, 1.0, 2.0]] * 20] * 2, "label": 1},
    "mediapipe": {
        "fps": 30,
        "metadata": {"width": 640, "height": 480},
        "frames": [{"frame": i, "timestamp": i / 30, "poseLandmarks": each} for i, each in enumerate(_LANDMARKS)],
    },
    "mediapipe in the world": [{"worldLandmarks": [each], "landmarks": [each]} for each in _LANDMARKS],
}
_WRONG = [None, True, -1, 0, 1e300, 10**400, float("nan"), float("inf"), "x", "", [], [[]], [1], {}, {"x": 1}]


def places_of(content: Any) -> list[tuple[Any, ...]]:
    """The path of keys to every value."""
    steps = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [(), *((key, *rest) for key, value in steps for rest in places_of(value))]


def changed(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    content = copy.deepcopy(content)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return content


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_wrong_values_is_read_or_refused(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    content = FILES[kind]
    for _ in range(data.draw(st.integers(1, 2))):
        places = places_of(content)
        # Values near the root decide more than single coordinates do.
        near = [place for place in places if len(place) <= 3]
        place = data.draw(st.sampled_from(near) | st.sampled_from(places))
        content = changed(content, place, data.draw(st.sampled_from(_WRONG)))
    file = write_json(tmp_path / "video.json", content)
    clips: list[Clip] = []
    refused = str(file)
    try:
        clips += read_clips(file, report=lambda _: None)
    except DamagedFileError as error:
        refused = str(error)
    assert str(file) in refused
    for clip in clips:
        assert clip.sequence.shape[2:] == (clip.layout.num_joints, 3)
        assert not np.isinf(clip.sequence).any()


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_was_cut_off_is_refused(kind: str, tmp_path: Path) -> None:
    file = write_json(tmp_path / "video.json", FILES[kind])
    text = file.read_text()
    for end in itertools.islice(range(1, len(text), max(1, len(text) // 20)), 20):
        file.write_text(text[:end])
        with pytest.raises(DamagedFileError, match=r"video\.json"):
            list(read_clips(file))
