"""The video of MediaPipe's landmarks, whatever file they came from: 3-D if they are world landmarks, otherwise 2-D."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from gfp_serve.conventions import Conventions, decide
from gfp_serve.formats.people import Person
from gfp_serve.formats.recorded_people import Video
from gfp_serve.layouts import MEDIAPIPE33

# x to the right of the image, y down, z away from the camera.
WORLD = Conventions(up="-y", unit="m", hand="right")
_HIPS = [MEDIAPIPE33.joint_names.index(f"{side}_hip") for side in ("left", "right")]
# MediaPipe places these even where they are out of view, and they say where a body is and how it stands.
TRUNK = [*_HIPS, *(MEDIAPIPE33.joint_names.index(f"{side}_shoulder") for side in ("left", "right"))]
# In metres. World landmarks have the middle of the hips at the origin, and nobody reaches further from it.
_NEAR_ORIGIN, _REACH = 0.03, 3.0

_Landmarks = Float64[np.ndarray, "33 columns"]  # x, y, z, visibility
_People = Mapping[int, Sequence[_Landmarks]]  # in each frame


def video_of(
    name: str,
    world: _People,
    image: _People,
    *,
    fps: float | None = None,
    image_size: tuple[float, float] | None = None,
) -> Video:
    """The video of landmarks in the world, or of those in the image if there are none in the world.

    Landmarks that are said to be in the image are in the world if their hips are at the origin in every frame. They are
    those of several cameras (FreeMoCap writes such files) if people stand along z; then anatomy decides the rest.
    Landmarks that are all 0 or lost show nobody: some programs write frames without people like this.
    """
    world, image = _without_nobody(world), _without_nobody(image)
    if not any(world.values()) and _are_centred(image):
        world, image = image, {}
    if not any(world.values()) and _are_recorded_in_space(image):
        frames = {frame: [Person(each[:, :3], each[:, 3]) for each in people] for frame, people in image.items()}
        return Video(name=name, frames=frames, layout=MEDIAPIPE33, fps=fps)
    if not any(world.values()):
        frames = {frame: [Person(each[:, :2], each[:, 3]) for each in people] for frame, people in image.items()}
        return Video(name=name, frames=frames, layout=MEDIAPIPE33, fps=fps, image_size=image_size)
    notes: tuple[str, ...] = (
        "its world landmarks were taken; they are centred on the hips in every frame, so nobody travels.",
    )
    if any(not world[frame] and people for frame, people in image.items()):
        notes += ("some frames have landmarks in the image alone; nobody is seen in these.",)
    # People are followed by their places in the image if everyone has one.
    placed = all(len(image.get(frame, ())) == len(people) for frame, people in world.items())
    frames = {frame: _in_world(people, image.get(frame, ()) if placed else ()) for frame, people in world.items()}
    return Video(
        name=name,
        frames=frames,
        layout=MEDIAPIPE33,
        fps=fps,
        conventions=WORLD,
        notes=notes,
    )


def fps_of_times(numbers: Sequence[int], times: Sequence[float], seconds: float | None) -> float | None:
    """Frames a second by the times of frames with these numbers; None if they do not say it.

    `seconds` is the unit. Without it, frames that are more than 2 apart are in milliseconds, and more than 2,000 apart
    in microseconds.
    """
    if len(times) < 2:
        return None
    step = float(np.median(np.diff(times) / np.diff(numbers)))
    if step <= 0:
        return None
    unit = seconds or (1.0 if step <= 2 else 1e-3 if step <= 2_000 else 1e-6)
    return round(1 / (step * unit), 2)


def _without_nobody(people: _People) -> _People:
    return {
        frame: [each for each in of_frame if np.nan_to_num(each[:, :2]).any()] for frame, of_frame in people.items()
    }


def _in_world(world: Sequence[_Landmarks], image: Sequence[_Landmarks]) -> list[Person]:
    people = []
    for number, each in enumerate(world):
        confidence = each[:, 3].copy()
        confidence[TRUNK] = 1.0
        place = image[number][:, :2] if image else None
        people.append(Person(each[:, :3], confidence, place=place))
    return people


def _are_centred(people: _People) -> bool:
    landmarks = _seen(people)
    if not len(landmarks):
        return False
    middles = landmarks[:, _HIPS, :2].mean(axis=1)
    return bool(np.nanmedian(np.abs(middles), axis=0).max() < _NEAR_ORIGIN and np.nanmax(np.abs(landmarks)) < _REACH)


def _are_recorded_in_space(people: _People) -> bool:
    """Whether z is up, which it is not in images, and x and y are not parts of one."""
    landmarks = _seen(people)
    if not len(landmarks) or np.nanmax(np.abs(landmarks[..., :2])) < _REACH:
        return False
    return decide([landmarks[:, None].astype(np.float32)], MEDIAPIPE33, Conventions()).up in ("z", "-z")


def _seen(people: _People) -> Float64[np.ndarray, "people 33 3"]:
    """x, y, z of everyone whose hips are known."""
    everyone = [each[:, :3] for of_frame in people.values() for each in of_frame]
    found = [each for each in everyone if np.isfinite(each[_HIPS, :2]).all()]
    return np.stack(found) if found else np.empty((0, MEDIAPIPE33.num_joints, 3))
