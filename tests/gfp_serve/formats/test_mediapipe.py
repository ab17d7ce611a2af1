"""MediaPipe's landmarks, in the image and in the world, in every form in which people write them as JSON and CSV."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import files_beside, find_named_files, read_clips
from gfp_serve.layouts import MEDIAPIPE33

from .estimates import WRIST, as_dicts, in_image, in_world
from .videos import check_walks, read_with_remarks, walking, write_json

_CENTRED = "its world landmarks were taken; they are centred on the hips in every frame, so nobody travels."
_NO_FPS = "it does not say how many frames a second it has; 30 were assumed. Say it with --fps."
_IN_WORLD = "read as 3-D joints of the layout mediapipe33: -y up, metres, right-handed."


def check_upright(sequence: np.ndarray, world: np.ndarray) -> None:
    """y up and turned about z, so that who faces the camera still does."""
    np.testing.assert_allclose(sequence[:, 0], world[..., :3] * (-1, -1, 1), atol=1e-6)


@pytest.mark.parametrize(
    "frame_of",
    [
        lambda image, world: {"poseLandmarks": as_dicts(image), "poseWorldLandmarks": as_dicts(world)},
        lambda image, world: {"pose_landmarks": image.tolist(), "pose_world_landmarks": world.tolist()},
        lambda image, world: {"landmarks": [as_dicts(image)], "worldLandmarks": [as_dicts(world)]},
        lambda image, world: {
            "poseLandmarks": {"landmark": as_dicts(image)},
            "poseWorldLandmarks": {"landmark": as_dicts(world)},
        },
        lambda _, world: {"frame": None, "worldLandmarks": as_dicts(world)},
        lambda _, world: {"world_landmarks": dict(zip(MEDIAPIPE33.joint_names, as_dicts(world), strict=True))},
        lambda _, world: {"pose_world_landmarks": [[{**each, "visibility": None} for each in as_dicts(world)]]},
        lambda _, world: as_dicts(world),
        lambda _, world: [world.tolist()],
    ],
    ids=[
        "camelCase",
        "snake_case",
        "tasks",
        "protobuf",
        "world alone",
        "by name",
        "no visibility",
        "bare",
        "bare people",
    ],
)
def test_world_landmarks_win_and_are_turned_upright(
    frame_of: Callable[[np.ndarray, np.ndarray], Any], tmp_path: Path
) -> None:
    world = in_world(5)
    frames = [frame_of(*both) for both in zip(in_image(5), world, strict=True)]
    (clip,), said = read_with_remarks(write_json(tmp_path / "take.json", frames))
    assert (clip.name, clip.layout, clip.dimensions, clip.fps) == ("take", MEDIAPIPE33, 3, 30.0)
    check_upright(clip.sequence, world)
    assert said == [_CENTRED, _NO_FPS, _IN_WORLD]


def test_landmarks_in_the_image_are_2d_and_visibility_is_confidence(tmp_path: Path) -> None:
    image = in_image(5)
    image[2:4, WRIST, 3] = 0.05
    content = {
        "metadata": {"fps": 25, "videoWidth": 1280, "videoHeight": 720},
        "frames": [{"poseLandmarks": as_dicts(landmarks)} for landmarks in image],
    }
    (clip,), said = read_with_remarks(write_json(tmp_path / "take.json", content))
    assert (clip.dimensions, clip.fps) == (2, 25.0)
    expected = walking(MEDIAPIPE33, 5)
    expected[2:4, WRIST] = np.nan
    check_walks(clip, expected)
    assert said == ["read as 2-D joints of the layout mediapipe33."]


def test_an_image_of_unknown_size_is_taken_to_be_square_and_it_is_said(tmp_path: Path) -> None:
    frames = [{"pose_landmarks": as_dicts(landmarks)} for landmarks in in_image(3)]
    _, said = read_with_remarks(write_json(tmp_path / "take.json", frames))
    assert (
        said[-1]
        == "joints are parts of an image whose size is not known; it was taken to be square. Say it with --image-size."
    )


def test_lists_of_all_frames_side_by_side_are_frames(tmp_path: Path) -> None:
    world = in_world(4)
    content = {"fps": 60, "pose_landmarks": in_image(4).tolist(), "pose_world_landmarks": world.tolist()}
    (clip,), _ = read_with_remarks(write_json(tmp_path / "take.json", content))
    check_upright(clip.sequence, world)
    assert clip.fps == 60


def test_json_lines_are_frames(tmp_path: Path) -> None:
    world = in_world(3)
    file = tmp_path / "take.json"
    file.write_text("".join(json.dumps({"poseWorldLandmarks": as_dicts(each)}) + "\n" for each in world))
    (clip,) = read_clips(file)
    check_upright(clip.sequence, world)


@pytest.mark.parametrize("nobody", [{"poseWorldLandmarks": []}, {"poseWorldLandmarks": None}, {}, None, []])
def test_a_frame_without_people_is_a_gap(nobody: Any, tmp_path: Path) -> None:
    frames: list[Any] = [{"poseWorldLandmarks": as_dicts(each)} for each in in_world(5)]
    frames[0] = frames[2] = nobody
    (clip,) = read_clips(write_json(tmp_path / "take.json", frames))
    assert np.isnan(clip.sequence).all(axis=(1, 2, 3)).tolist() == [True, False, True, False, False]


def test_numbers_and_times_of_frames_give_gaps_and_fps(tmp_path: Path) -> None:
    frames = [
        {"frameIndex": 2 * number, "timestampMs": 40 * number, "worldLandmarks": as_dicts(each)}
        for number, each in enumerate(in_world(4))
    ]
    (clip,), said = read_with_remarks(write_json(tmp_path / "take.json", frames))
    assert (len(clip.sequence), clip.fps) == (7, 50.0)
    assert said == [
        _CENTRED,
        "numbers of frames are missing in it; nobody is seen in these frames.",
        _IN_WORLD,
    ]


def test_two_people_in_the_world_are_followed_by_their_places_in_the_image(tmp_path: Path) -> None:
    world, image = in_world(6), in_image(6)
    small = world * (0.8, 0.8, 0.8, 1)
    beside = image + (0.4, 0, 0, 0)
    frames = []
    for number in range(6):
        people = [(image[number], world[number]), (beside[number], small[number])]
        people = people if number % 2 == 0 else people[::-1]
        frames.append(
            {"landmarks": [as_dicts(i) for i, _ in people], "worldLandmarks": [as_dicts(w) for _, w in people]}
        )
    (clip,) = read_clips(write_json(tmp_path / "take.json", frames))
    check_upright(clip.sequence[:, :1], world)
    check_upright(clip.sequence[:, 1:], small)


def test_hips_and_shoulders_in_the_world_are_kept_and_other_joints_of_little_visibility_are_lost(
    tmp_path: Path,
) -> None:
    world = in_world(3)
    world[:, :, 3] = 0.1
    frames = [{"poseWorldLandmarks": as_dicts(each)} for each in world]
    (clip,) = read_clips(write_json(tmp_path / "take.json", frames))
    kept = ~np.isnan(clip.sequence).any(axis=(0, 1, 3))
    assert [MEDIAPIPE33.joint_names[joint] for joint in np.flatnonzero(kept)] == [
        "left_shoulder",
        "right_shoulder",
        "left_hip",
        "right_hip",
    ]


def test_what_a_caller_says_wins(tmp_path: Path) -> None:
    world = in_world(3) * (100, -100, 100, 1)
    file = write_json(tmp_path / "take.json", [{"poseWorldLandmarks": as_dicts(each)} for each in world])
    (clip,), said = read_with_remarks(file, up="y", unit="cm")
    np.testing.assert_allclose(clip.sequence[:, 0], world[..., :3] / 100, atol=1e-6)
    assert said[-1] == "read as 3-D joints of the layout mediapipe33: y up, centimetres, right-handed."


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"poseLandmarks": [{"x": 1, "y": 2}] * 21}, r"frame 1, person 0 has 21 landmarks; MediaPipe's pose has 33"),
        ({"poseLandmarks": [{"x": "a", "y": 2}] * 33}, r"frame 1, person 0 must have numbers in 'landmarks'"),
        ({"poseLandmarks": [*[{"x": 1, "y": 2}] * 32, 7]}, r"frame 1, person 0, landmark 32 must be"),
        ({"poseLandmarks": 5}, r"frame 1, person 0 has 0 landmarks"),
    ],
)
def test_a_damaged_frame_is_refused_with_its_number(frame: Any, message: str, tmp_path: Path) -> None:
    frames = [{"poseLandmarks": as_dicts(in_image(1)[0])}, frame]
    with pytest.raises(DamagedFileError, match=message):
        list(read_clips(write_json(tmp_path / "take.json", frames)))


def write_csv(path: Path, heading: list[str], rows: np.ndarray, before: list[list[str]] | None = None) -> Path:
    before = before or [[] for _ in rows]
    lines = [[*first, *(f"{number:.9g}" for number in row.ravel())] for first, row in zip(before, rows, strict=True)]
    path.write_text("\n".join(",".join(line) for line in [heading, *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    "column",
    [
        "{axis}{number}",
        "{axis}{one}",
        "{name}_{axis}",
        "{NAME}_{AXIS}",
        "{name}.{axis}",
        "landmark_{number}_{axis}",
        "{number}_{axis}",
        "pose_{name}_{axis}",
        "lm{number}{axis}",
        "kp{number}_{axis}",
    ],
)
def test_csv_of_any_usual_heading_is_read(column: str, tmp_path: Path) -> None:
    world = in_world(4)
    heading = [
        column.format(number=number, one=number + 1, name=name, NAME=name.upper(), axis=axis, AXIS=axis.upper())
        for number, name in enumerate(MEDIAPIPE33.joint_names)
        for axis in ("x", "y", "z", "visibility" if "name" in column.lower() else "v")
    ]
    (file,) = find_named_files([write_csv(tmp_path / "take.csv", heading, world).parent])
    (clip,), said = read_with_remarks(file.path)
    check_upright(clip.sequence, world)
    assert said == [_CENTRED, _NO_FPS, _IN_WORLD]


def test_csv_of_the_image_has_frames_times_and_a_label(tmp_path: Path) -> None:
    heading = ["class", "frame", "timestamp", *(f"{axis}{number}" for number in range(1, 34) for axis in "xyzv")]
    before = [["squat", str(number), f"{number / 25:.4f}"] for number in (0, 1, 3)]
    (clip,), said = read_with_remarks(write_csv(tmp_path / "take.csv", heading, in_image(3), before))
    assert (clip.label, clip.fps, clip.dimensions, len(clip.sequence)) == ("squat", 25.0, 2, 4)
    assert said[0] == "numbers of frames are missing in it; nobody is seen in these frames."


def test_csv_with_both_gives_the_world_and_pixels_alone_are_2d(tmp_path: Path) -> None:
    names = MEDIAPIPE33.joint_names
    both = [f"{name}{kind}_{axis}" for kind in ("", "_world") for name in names for axis in ("x", "y", "z", "v")]
    world = in_world(3)
    (clip,) = read_clips(write_csv(tmp_path / "both.csv", both, np.concatenate([in_image(3), world], axis=1)))
    check_upright(clip.sequence, world)
    pixels = walking(MEDIAPIPE33, 3)
    heading = [f"{name}_{axis}" for name in names for axis in "xy"]
    (flat,) = read_clips(write_csv(tmp_path / "flat.csv", heading, pixels))
    check_walks(flat, pixels)


def test_csv_of_several_cameras_is_turned_upright(tmp_path: Path) -> None:
    world = in_world(3)
    heading = [f" {name}_{axis}" for name in MEDIAPIPE33.joint_names for axis in "xyz"]
    heading[0] = "# nose_x"
    x, y, z = (world[..., axis] for axis in range(3))
    turned = np.stack([x, z + 2, 1 - y], axis=-1) * 1000  # millimetres, z up, as FreeMoCap writes them
    (clip,), said = read_with_remarks(write_csv(tmp_path / "body.csv", heading, turned))
    np.testing.assert_allclose(clip.sequence[:, 0], np.stack([x, 1 - y, -2 - z], axis=-1), atol=1e-5)
    assert said[-1] == "read as 3-D joints of the layout mediapipe33: z up, millimetres, right-handed."


@pytest.mark.parametrize(("landmarks", "dimensions"), [(in_image, 2), (in_world, 3)])
def test_a_line_of_zeros_shows_nobody_and_makes_no_second_body(
    landmarks: Callable[[int], np.ndarray], dimensions: int, tmp_path: Path
) -> None:
    heading = [f"{axis}{number}" for number in range(33) for axis in "xyzv"]
    rows = landmarks(6)
    rows[[0, 2, 3]] = 0
    (clip,), said = read_with_remarks(write_csv(tmp_path / "take.csv", heading, rows))
    assert (clip.dimensions, clip.sequence.shape) == (dimensions, (6, 1, 33, 3))
    assert np.isnan(clip.sequence).all(axis=(1, 2, 3)).tolist() == [True, False, True, True, False, False]
    assert [each for each in said if "who is who" in each] == []


def test_a_person_of_zeros_in_json_is_nobody(tmp_path: Path) -> None:
    image = in_image(4)
    image[1] = 0
    frames = [{"pose_landmarks": as_dicts(landmarks)} for landmarks in image]
    (clip,), said = read_with_remarks(write_json(tmp_path / "take.json", frames))
    assert clip.sequence.shape == (4, 1, 33, 3)
    assert np.isnan(clip.sequence).all(axis=(1, 2, 3)).tolist() == [False, True, False, False]
    assert [each for each in said if "who is who" in each] == []


def test_an_empty_field_of_csv_is_a_lost_joint(tmp_path: Path) -> None:
    heading = [f"{axis}{number}" for number in range(33) for axis in "xyzv"]
    file = write_csv(tmp_path / "take.csv", heading, in_world(3))
    first, second, *others = file.read_text().splitlines()
    file.write_text("\n".join([first, ",,,," + second.split(",", 4)[4], "," * 131, *others[1:]]))
    (clip,) = read_clips(file)
    lost = np.isnan(clip.sequence).any(axis=(1, 3))
    assert lost.sum(axis=1).tolist() == [1, 33, 0]


@pytest.mark.parametrize(
    ("line", "message"),
    [("1,2", r"take.csv: line 3 must hold 132 fields, has 2"), (",".join(["a"] * 132), r"line 3 must hold numbers")],
)
def test_a_damaged_line_of_csv_is_refused(line: str, message: str, tmp_path: Path) -> None:
    heading = [f"{axis}{number}" for number in range(33) for axis in "xyzv"]
    file = write_csv(tmp_path / "take.csv", heading, in_world(1))
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(DamagedFileError, match=message):
        list(read_clips(file))


def test_other_csv_is_not_a_recording(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label\na,b\n")
    write_json(tmp_path / "take.json", [{"poseWorldLandmarks": as_dicts(each)} for each in in_world(2)])
    assert [file.path.name for file in find_named_files([tmp_path])] == ["take.json"]
    with pytest.raises(DamagedFileError, match=r"labels\.csv: line 1 does not name joints that make a body"):
        list(read_clips(tmp_path / "labels.csv"))


def test_a_folder_of_one_file_a_frame_is_one_recording(tmp_path: Path) -> None:
    world = in_world(12)
    for number, frame in enumerate(world, start=7):
        if number != 10:
            write_json(tmp_path / f"squat_{number:04}.json", {"poseWorldLandmarks": as_dicts(frame)})
    write_json(tmp_path / "squat_long_1.json", [{"poseWorldLandmarks": as_dicts(frame)} for frame in world])
    found = find_named_files([tmp_path])
    assert [(each.name, each.path.name) for each in found] == [
        ("squat", "squat_0007.json"),
        ("squat_long_1", "squat_long_1.json"),
    ]
    assert len(files_beside(found[0].path)) == 10
    (clip,), said = read_with_remarks(found[0].path, fps=25)
    assert (clip.name, clip.fps) == ("squat", 25)
    assert np.isnan(clip.sequence[3]).all()
    kept = [frame for frame in range(12) if frame != 3]
    check_upright(clip.sequence[kept], world[kept])
    assert said == [
        "11 files of one frame each are this recording.",
        _CENTRED,
        "numbers of frames are missing in it; nobody is seen in these frames.",
        _IN_WORLD,
    ]


def test_files_of_a_frame_each_are_read_as_one_file_of_all_would_be(tmp_path: Path) -> None:
    frames = [{"poseWorldLandmarks": as_dicts(frame), "timestampMs": 40 * n} for n, frame in enumerate(in_world(6))]
    frames[2] = {"poseLandmarks": as_dicts(in_image(1)[0]), "timestampMs": 80}
    frames[4] = {"poseWorldLandmarks": [], "timestampMs": 160}
    for number, frame in enumerate(frames):
        write_json(tmp_path / f"squat_{40 * number:05}.json", frame)  # named by time
    (apart,), said = read_with_remarks(tmp_path / "squat_00000.json")
    (together,), expected = read_with_remarks(write_json(tmp_path / "all" / "squat.json", frames))
    np.testing.assert_array_equal(apart.sequence, together.sequence)
    assert apart.fps == together.fps == 25
    assert said == ["6 files of one frame each are this recording.", *expected]


def test_what_a_caller_says_of_images_goes_before_what_the_file_says(tmp_path: Path) -> None:
    content = {"fps": 50, "width": 100, "height": 100, "frames": [as_dicts(frame) for frame in in_image(5)]}
    content["frames"][2][WRIST]["visibility"] = 0.6
    file = write_json(tmp_path / "squat.json", content)
    (clip,), _ = read_with_remarks(file, fps=60, image_size=(1280, 720), min_confidence=0.7)
    pixels = walking(MEDIAPIPE33, 5)
    pixels[2, WRIST] = np.nan
    assert clip.fps == 60
    check_walks(clip, pixels)
