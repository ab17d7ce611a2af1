"""C3D, the marker files of motion capture (Vicon, OptiTrack, Qualisys, Theia and others), read by the package c3d.

Binary: a header, groups of parameters (POINT has the markers' names, their rate and unit), and for each frame the place
of every marker with its residual, which is negative where the marker was lost (www.c3d.org, C3D User Guide). Analog
channels, such as those of force plates, are left out.
"""

import itertools
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import c3d
import numpy as np
from jaxtyping import Float64

from gfp_serve.conventions import METRES, Conventions, Unit
from gfp_serve.errors import DamagedFileError
from gfp_serve.files import open_ordinary
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.markers import Markers, body_of, guess_of
from gfp_serve.formats.remark import Remark
from gfp_serve.joint_map import JointMap

_UNITS: dict[str, Unit] = {"meters": "m", "metres": "m", "millimeters": "mm", "centimeters": "cm", "inches": "in"}
_UNITS |= {unit: unit for unit in METRES}
# The frames of a file are held in memory. An hour of a hundred markers has 2 GiB.
_MAX_BYTES = 4 * 2**30
# What the package raises for files that are no C3D, or are damaged. It checks what it reads by assertions.
_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    TypeError,
    ValueError,
    struct.error,
)


def read(
    path: Path,
    said: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    joint_map: JointMap | None = None,
) -> Iterator[Clip | Remark]:
    """Yield how the file was read, and its clip; see `markers.body_of`.

    A marker with a negative residual was lost. The axis that points up is decided by anatomy. Raises `DamagedFileError`
    for a file that is cut off, contradicts the format or has no markers, and when hips and shoulders are not among
    them.
    """
    yield from body_of(path, _parse(path), said, joint_map)


def guess(path: Path) -> tuple[list[str], dict[str, str]]:
    """The names of a file's markers, and the standard names of those that are known. Raises `DamagedFileError`."""
    return guess_of(_parse(path).names)


class _Reader(c3d.Reader):  # type: ignore[misc]  # the package says no types
    """The package's reader, which would also refuse files for their analog channels, and counts frames wrongly.

    It checks that the rate of analog channels is a multiple of that of points, although both are rounded. Of the two
    words of a first frame above 65,535 it takes the second 65,535 times.
    """

    def _check_metadata(self) -> None:
        if self.header.point_count != self.point_used:
            raise ValueError(f"it says {self.header.point_count} and {self.point_used} markers")
        if self.header.scale_factor != self.point_scale:
            raise ValueError(f"it says two scales, {self.header.scale_factor:g} and {self.point_scale:g}")

    @property
    def analog_per_frame(self) -> int:
        return int(self.header.analog_per_frame)

    @property
    def first_frame(self) -> int:
        start = self.get("TRIAL:ACTUAL_START_FIELD")
        if start is None:
            return int(self.header.first_frame)
        low, high = (int(word) for word in start.uint16_array[:2])
        return low + (high << 16)


def _parse(path: Path) -> Markers:
    try:
        # The package warns of what is checked here, and of what is left out.
        with open_ordinary(path, at_most=_MAX_BYTES) as file, warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore")
            content = _Reader(file)
            names = _names(content)
            if not names:
                raise DamagedFileError(f"{path} has no markers (POINT); it may have analog channels alone.")
            points = [points for _, points, _ in content.read_frames(check_nan=True)]
            count = content.frame_count
            rate, units = float(content.point_rate), content.get("POINT:UNITS")
            unit = units.string_value.strip("\0 ").lower() if units is not None else ""
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror or error}.") from error
    except _DAMAGED as error:
        raise DamagedFileError(f"{path} is not a C3D file, or is damaged ({error}); copy it again.") from error
    if not points or len(points) != count:
        raise DamagedFileError(f"{path} is cut off: it has {len(points)} of {max(count, 0)} frames; copy it again.")
    places = _with_losses(np.stack(points))
    # Markers that the software did not recognise have no name, or one with a star.
    kept = [place for place, name in enumerate(names) if name and not name.startswith("*")]
    labels = [names[place] for place in kept]
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise DamagedFileError(f"{path} has two markers {twice[0]!r}; expected names that differ.")
    return Markers(
        labels=labels,
        places=places[:, kept],
        fps=rate if np.isfinite(rate) and rate > 0 else None,
        unit=_UNITS.get(unit),
    )


def _names(content: c3d.Reader) -> list[str]:
    """A name for each marker; empty for those that the file does not name."""
    names: list[str] = []
    # A parameter holds 255 names at most; further ones are in LABELS2, LABELS3 and so on.
    for number in itertools.count(1):
        labels = content.get("POINT:LABELS" if number == 1 else f"POINT:LABELS{number}")
        if labels is None or len(labels.dimensions) != 2:
            break
        names += [name.strip("\0 ") for name in labels.string_array]
    return [*names, *[""] * content.point_used][: content.point_used]


def _with_losses(points: np.ndarray) -> Float64[np.ndarray, "frames markers 3"]:
    """Places, with NaN for lost markers; some programs write exactly 0 0 0 for these."""
    places = points[..., :3].astype(np.float64)
    places[(points[..., 3] < 0) | (places == 0).all(axis=2)] = np.nan
    return places
