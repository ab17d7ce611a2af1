"""Videos -> the landmarks of the person in their frames. The one edge to PyAV, which decodes, and to MediaPipe.

Nothing leaves the machine: the model comes with the package (`NOTICE` says whose it is), videos are opened as files
only, and a MediaPipe that reports to its maker is refused.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32, UInt8

from gfp_serve.errors import DamagedFileError, MissingExtraError
from gfp_serve.extras import missing
from gfp_serve.files import open_ordinary
from gfp_serve.settings import setting

MODEL = Path(__file__).with_name("pose_model") / "pose.task"

# The one release that was looked at: the ones from 0.10.35 on report their use to their maker.
MEDIAPIPE = "0.10.31"

# The model sees 256 × 256 pixels around the person, so more pixels than these, on the longer side, cost time only.
_LONGEST = 1280

# What videos are kept in. A playlist would make FFmpeg open other files, or addresses, that it names.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,ogg,flv"
_USUAL_FPS = 30.0
_LATEST = 2**62  # in units of a video's clock, which FFmpeg counts in 64 bits

# Most often, the person is seen in one of the first frames. In silence, no bar could be shown.
_SILENT_FRAMES = 30

Image = UInt8[np.ndarray, "height width 3"]
Landmarks = Float32[np.ndarray, "33 4"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPart:
    """Which frames of a video are looked at. Raises `ValueError` for what cannot be."""

    every: int = setting(1, "Look at every N-th frame only: with 3, at 10 of 30 a second, in a third of the time.")
    start: float = setting(0.0, "Begin at this second of each video.")
    end: float | None = setting(None, "End at this second of each video. [default: its end]")

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"--every is {self.every}; it must be 1, for every frame, or more.")
        if not (math.isfinite(self.start) and self.start >= 0):
            raise ValueError(f"--start is {self.start:g}; it must be 0 or more seconds.")
        if self.end is not None and not (math.isfinite(self.end) and self.end > self.start):
            raise ValueError(f"--end is {self.end:g}; it must be later than --start, which is {self.start:g}.")


WHOLE = VideoPart()


@dataclass(frozen=True, slots=True, eq=False)
class SeenFrame:
    """A frame of a video, and the person in it."""

    time_s: float  # since the video's first frame; later than that of the frame before
    # x to the right of the image, y down, z away from the camera, in metres from the middle of the hips; visibility
    # from 0 to 1. None: nobody is seen.
    landmarks: Landmarks | None
    share: float  # of what is to be read, up to and with this frame: from 0 to 1


def seen_frames(path: Path, part: VideoPart = WHOLE) -> Iterator[SeenFrame]:
    """Yield each frame of this part of a video, in time. No more than one image is held.

    Frames are upright, as phones mean them, and are not mirrored. Landmarks are in the order of `MEDIAPIPE33`. Of
    several people in a frame, one is found.

    Raises `DamagedFileError` for a file that is not a video or that ends in the middle of a frame, and
    `MissingExtraError` where the extra `video` is not installed, or another MediaPipe than the one that was looked at.
    """
    with _ordinary(path) as file:
        mediapipe, av = _mediapipe(), _av()
        with _finder(mediapipe) as find, _opened(av, path, file) as (container, stream):
            share = _share_of(file, container, stream, part)
            for image, time_s in _images(av, path, container, stream, part):
                yield SeenFrame(time_s, find(image, time_s), share(time_s))


def can_read_videos() -> bool:
    """Whether the extra `video` is installed, with the MediaPipe that was looked at."""
    with suppress(PackageNotFoundError):
        return version("mediapipe") == MEDIAPIPE and find_spec("mediapipe") is not None and find_spec("av") is not None
    return False


def _mediapipe() -> Any:
    try:
        installed = version("mediapipe")
    except PackageNotFoundError:
        installed = MEDIAPIPE  # importing says which extra is missing
    # It is looked at before it is imported, because importing may be reported already.
    if installed != MEDIAPIPE:
        raise MissingExtraError(
            f"mediapipe {installed} is installed, and only {MEDIAPIPE} is used: releases from 0.10.35 on report to "
            f"their maker how they are used, and others were not looked at. Install the extra 'video' again, or "
            f"mediapipe=={MEDIAPIPE}."
        )
    try:
        import mediapipe
    except ModuleNotFoundError as error:
        raise missing(error) from error
    return mediapipe


def _av() -> Any:
    try:
        import av
    except ModuleNotFoundError as error:
        raise missing(error) from error
    return av


@contextmanager
def _silent() -> Iterator[None]:
    """Let C code print nothing to standard error: MediaPipe tells there about its insides as it begins."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _finder(mediapipe: Any) -> Iterator[Callable[[Image, float], Landmarks | None]]:
    """A function that finds the person in the next image of a video, which was taken at a time in seconds."""
    vision = mediapipe.tasks.vision
    options = vision.PoseLandmarkerOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(MODEL)),
        # It follows the person from frame to frame, and smooths.
        running_mode=vision.RunningMode.VIDEO,
        num_poses=1,
    )
    with _silent():
        made = vision.PoseLandmarker.create_from_options(options)
    last_ms, silent_left = -1, _SILENT_FRAMES
    with made as landmarker:

        def find(image: Image, time_s: float) -> Landmarks | None:
            nonlocal last_ms, silent_left
            last_ms = max(last_ms + 1, round(1000 * time_s))  # it refuses two images of one millisecond
            given = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
            silent_left -= 1
            with _silent() if silent_left >= 0 else nullcontext():
                people = landmarker.detect_for_video(given, last_ms).pose_world_landmarks
            if not people:
                return None
            silent_left = 0
            return np.array([(each.x, each.y, each.z, each.visibility) for each in people[0]], dtype=np.float32)

        yield find


def _ordinary(path: Path) -> BinaryIO:
    """The open file. Raises `DamagedFileError`."""
    try:
        file = open_ordinary(path)
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}.") from error
    if not os.fstat(file.fileno()).st_size:
        file.close()
        raise DamagedFileError(f"{path} is empty; copy it again.")
    return file


@contextmanager
def _opened(av: Any, path: Path, file: BinaryIO) -> Iterator[tuple[Any, Any]]:
    """The container and its video. Raises `DamagedFileError`."""
    only = {"format_whitelist": _CONTAINERS, "protocol_whitelist": ""}
    try:
        container = av.open(file, container_options=only, metadata_errors="replace")
    except av.FFmpegError as error:
        raise _no_video(path, error) from error
    with container:
        stream = container.streams.best("video")
        if stream is None:
            raise DamagedFileError(f"{path} has no pictures: it is sound alone, or was cut off. Copy it again.")
        if stream.codec_context is None:
            raise DamagedFileError(f"{path} is packed in a way that is not known here; convert it to H.264 in an .mp4.")
        stream.thread_type = "AUTO"
        yield container, stream


def _no_video(path: Path, error: Any) -> DamagedFileError:
    return DamagedFileError(
        f"{path} cannot be read as a video ({error.strerror}): it is damaged, or something else. Copy it again, or "
        f"convert it to H.264 in an .mp4."
    )


def _images(av: Any, path: Path, container: Any, stream: Any, part: VideoPart) -> Iterator[tuple[Image, float]]:
    """The upright images of this part, and the seconds since the first frame. Raises `DamagedFileError`."""
    # An .avi has one rate, and no times that hold where frames are packed in another order.
    is_timed = container.format.name != "avi"
    # Where the container does not say when it begins, its first frame does.
    origin = None if stream.start_time is None else float(stream.start_time * stream.time_base)
    if part.start and is_timed and origin is not None:
        # To the last key frame before it. Where the container has no index, what comes before it is decoded too.
        with suppress(av.FFmpegError):
            # No further than FFmpeg can count; no video is as long.
            container.seek(min(round((part.start + origin) / stream.time_base), _LATEST), stream=stream)
    step = float(1 / (stream.average_rate or _USUAL_FPS))
    last = -math.inf
    count = 0
    try:
        for number, frame in enumerate(container.decode(stream)):
            time_s = number * step
            if is_timed and frame.pts is not None:
                at_s = float(frame.pts * frame.time_base)
                origin = at_s - time_s if origin is None else origin
                time_s = at_s - origin
            if part.end is not None and time_s >= part.end:
                return
            if time_s <= last or time_s < part.start:
                continue
            last = time_s
            if count % part.every == 0:
                yield _upright(frame, stream.sample_aspect_ratio), time_s
            count += 1
    except av.FFmpegError as error:
        if last == -math.inf:
            raise _no_video(path, error) from error
        raise DamagedFileError(
            f"{path} is damaged after {last:.2f} s ({error.strerror}). Copy it again, or take what comes before by "
            f"gfp-pose --end {last:.2f}."
        ) from error


def _upright(frame: Any, pixel_ratio: Any) -> Image:
    """The frame as it is meant to be seen, with square pixels."""
    width, height = frame.width * float(pixel_ratio or 1), frame.height
    smaller = min(1.0, _LONGEST / max(width, height))
    shown = frame.reformat(max(1, round(width * smaller)), max(1, round(height * smaller)), "rgb24")
    # Phones hold the camera's picture as it was taken, and say by how much to turn it: counterclockwise, as numpy does.
    return np.ascontiguousarray(np.rot90(shown.to_ndarray(), round(frame.rotation / 90)))


def _share_of(file: BinaryIO, container: Any, stream: Any, part: VideoPart) -> Callable[[float], float]:
    """How much of the part has been read at a time: by times, or by bytes if the video does not say how long it is."""
    end = part.end or math.inf
    if stream.duration is not None:
        end = min(end, float(stream.duration * stream.time_base))
    elif container.duration is not None:
        end = min(end, container.duration / 1e6)
    if math.isinf(end) or end <= part.start:
        size = os.fstat(file.fileno()).st_size
        return lambda _: min(1.0, file.tell() / size)
    return lambda time_s: min(1.0, max(0.0, (time_s - part.start) / (end - part.start)))
