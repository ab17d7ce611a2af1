"""Videos of a drawn person, who moves as a recorded one did: a flat figure, in which a pose estimator finds a body.

    python -m tests.support.drawn_video CLIPS.npz CLIP VIDEO.mp4     draw a clip of a clip file

It needs Pillow and PyAV, which the extras `plot` and `video` bring.
"""

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8

from gfp_serve.formats import Clip, read_clips
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import rotate_about_vertical

SIZE = 320  # pixels of a side
# The camera: how far from the person, in metres, and how much of the plane in which they stand it shows.
_DISTANCE_M, _SHOWN_M = 4.5, 2.5
# People are seen a little from the side, where arms and legs do not hide each other.
_SIDEWAYS = math.radians(50)
# Pixels that are drawn for each of the picture, so that edges are smooth.
_FINE = 3

_WALL, _FLOOR = (205, 208, 204), (176, 170, 160)
_SKIN, _HAIR, _SHIRT, _TROUSERS, _SHOES = (222, 172, 138), (70, 48, 34), (52, 96, 148), (58, 58, 66), (34, 28, 26)
_EYES, _MOUTH = (30, 26, 26), (160, 72, 70)

_AT = {name: joint for joint, name in enumerate(NTU25.joint_names)}
# Strokes: from one joint to another, with a radius in metres. The nearest are drawn last.
_STROKES = [
    *(
        stroke
        for side in ("Left", "Right")
        for stroke in (
            (f"Hip{side}", f"Knee{side}", 0.085, _TROUSERS),
            (f"Knee{side}", f"Ankle{side}", 0.062, _TROUSERS),
            (f"Ankle{side}", f"Foot{side}", 0.05, _SHOES),
            (f"Shoulder{side}", f"Elbow{side}", 0.058, _SHIRT),
            (f"Elbow{side}", f"Wrist{side}", 0.046, _SHIRT),
            (f"Wrist{side}", f"HandTip{side}", 0.044, _SKIN),
        )
    ),
    ("SpineBase", "SpineShoulder", 0.14, _SHIRT),
    ("HipLeft", "HipRight", 0.10, _TROUSERS),
    ("ShoulderLeft", "ShoulderRight", 0.07, _SHIRT),
    ("SpineShoulder", "Head", 0.05, _SKIN),
]

Image = UInt8[np.ndarray, "height width 3"]


def seen_by_camera(
    body: Float32[np.ndarray, "frames joints 3"],
) -> Float32[np.ndarray, "frames joints 3"]:
    """A body in the layout ntu25 as the camera sees it: x to the right, y up, z to the camera, hips on its axis."""
    across = body[:, _AT["HipLeft"]] - body[:, _AT["HipRight"]]
    usual = across[:, [0, 2]].mean(axis=0)
    if np.linalg.norm(usual) < 0.02:  # who turns around has no usual side
        usual = across[0, [0, 2]]
    turned = rotate_about_vertical(body, -math.atan2(usual[1], usual[0]) + _SIDEWAYS)
    hips = turned[:, [_AT["SpineBase"]]].copy()
    width = 31  # the camera goes up and down with whom it follows, but does not shake
    padded = np.pad(hips[:, 0, 1], width // 2, mode="edge")
    hips[:, 0, 1] = np.convolve(padded, np.full(width, 1 / width), mode="valid")
    return (turned - hips).astype(np.float32)


def drawn(body: Float32[np.ndarray, "frames joints 3"], size: int = SIZE) -> Iterator[Image]:
    """Yield a picture of each frame of a body in the layout ntu25, in metres, y up."""
    for pose in seen_by_camera(body):
        yield _drawn(pose, size)


def _drawn(pose: Float32[np.ndarray, "joints 3"], size: int) -> Image:
    from PIL import Image as Pictures
    from PIL import ImageDraw

    side = size * _FINE
    picture = Pictures.new("RGB", (side, side), _WALL)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, int(0.84 * side), side, side), fill=_FLOOR)

    def scale(place: Float[np.ndarray, " 3"]) -> float:
        return float(side / _SHOWN_M * _DISTANCE_M / (_DISTANCE_M - place[2]))

    def at(place: Float[np.ndarray, " 3"]) -> tuple[float, float]:
        return side / 2 + float(place[0]) * scale(place), side / 2 - float(place[1] - 0.05) * scale(place)

    def disc(place: Float[np.ndarray, " 3"], radius: float, colour: Sequence[int]) -> None:
        (x, y), r = at(place), radius * scale(place)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=tuple(colour))

    def stroke(
        start: Float[np.ndarray, " 3"], end: Float[np.ndarray, " 3"], radius: float, colour: Sequence[int]
    ) -> None:
        width = 2 * radius * scale((start + end) / 2)
        pen.line((*at(start), *at(end)), fill=tuple(colour), width=round(width))
        for place in (start, end):
            disc(place, radius, colour)

    def limb(first: str, second: str, radius: float, colour: Sequence[int]) -> None:
        start, end = pose[_AT[first]], pose[_AT[second]]
        # With an edge, an arm before the shirt can be told from it.
        stroke(start, end, radius + 0.006, [int(0.72 * part) for part in colour])
        stroke(start, end, radius, colour)

    def head() -> None:
        up = _unit(pose[_AT["Head"]] - pose[_AT["SpineShoulder"]])
        middle = pose[_AT["Head"]] + 0.06 * up  # the joint is below the ears
        side_way = _unit(pose[_AT["ShoulderLeft"]] - pose[_AT["ShoulderRight"]])
        front = _unit(np.cross(side_way, up))
        disc(middle + 0.03 * up - 0.03 * front, 0.125, _HAIR)
        if front[2] > -0.3:  # of a face that looks away, only the hair is seen
            disc(middle + 0.035 * front - 0.01 * up, 0.105, _SKIN)
        if front[2] > 0.1:
            for sign in (-1, 1):
                disc(middle + 0.1 * front + sign * 0.04 * side_way + 0.02 * up, 0.014, _EYES)
            stroke(middle + 0.105 * front + 0.01 * up, middle + 0.125 * front - 0.018 * up, 0.009, (190, 136, 106))
            left, right = (middle + 0.1 * front + sign * 0.028 * side_way - 0.052 * up for sign in (-1, 1))
            stroke(left, right, 0.008, _MOUTH)

    things = [
        (
            float(pose[_AT[first], 2] + pose[_AT[second], 2]) / 2 - (0.03 if radius > 0.065 else 0),
            first,
            second,
            radius,
            colour,
        )
        for first, second, radius, colour in _STROKES
    ]
    depth_of_head = float(pose[_AT["Head"], 2])
    is_drawn = False
    for depth, first, second, radius, colour in sorted(things, key=lambda each: each[0]):
        if depth > depth_of_head + 0.05 and not is_drawn:
            head()
            is_drawn = True
        limb(first, second, radius, colour)
    if not is_drawn:
        head()
    return np.asarray(picture.resize((size, size), Pictures.Resampling.BOX))


def _unit(vector: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def write_video(
    path: Path,
    images: Iterable[Image],
    fps: float = 30.0,
    *,
    codec: str = "libx264",
    quality: int = 30,
    times: Sequence[float] | None = None,
    rotation: int = 0,
) -> Path:
    """Write images as a video; with `times`, each at its second. `rotation` is what players are told to turn it by."""
    import av

    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        base = Fraction(1, 90_000) if times is not None else 1 / rate
        stream.codec_context.time_base = base
        for number, image in enumerate(images):
            if not number:
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                if codec == "libx264":
                    stream.options = {"crf": str(quality), "preset": "veryfast"}
                if rotation:
                    stream.set_display_rotation(rotation)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.time_base = base
            frame.pts = number if times is None else round(times[number] / base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_video_of(clip: Clip, path: Path, *, size: int = SIZE) -> Path:
    """Draw the first body of a clip in the layout ntu25 and write it as a video."""
    return write_video(path, drawn(clip.sequence[:, 0], size), clip.fps)


if __name__ == "__main__":
    file, wanted, out = sys.argv[1:]
    write_video_of(next(clip for clip in read_clips(Path(file)) if clip.name == wanted), Path(out))
