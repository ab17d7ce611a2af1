"""CSV files of recordings. The names of the columns tell what is in a file."""

from collections.abc import Iterator
from pathlib import Path

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import mediapipe_csv, sensor_csv
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.json_text import head_of
from gfp_serve.formats.remark import Remark
from gfp_serve.joint_map import JointMap


def is_recording(path: Path) -> bool:
    """Whether the first line of a file names columns of joints. CSV can be anything, such as labels."""
    return mediapipe_csv.is_recording(path) or any(sensor_csv.is_recording(path, line) for line in _first_lines(path))


def read(
    path: Path,
    said: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    joint_map: JointMap | None = None,
) -> Iterator[Clip | Remark]:
    """Yield how the file was read, and its clip. See the modules of the formats.

    Raises `DamagedFileError`, which names the line.
    """
    if mediapipe_csv.is_recording(path):
        yield from mediapipe_csv.read(path, said)
    else:
        yield from sensor_csv.read(path, said, joint_map)


def guess(path: Path) -> tuple[list[str], dict[str, str]]:
    """The names of the joints of a depth sensor's file, and what those that are known are called; see `sensor_csv`."""
    if mediapipe_csv.is_recording(path):
        raise DamagedFileError(f"{path} has MediaPipe's landmarks, which need no joint map.")
    return sensor_csv.guess(path)


def _first_lines(path: Path) -> list[str]:
    return head_of(path).decode("utf-8-sig", errors="replace").splitlines()[:1]
