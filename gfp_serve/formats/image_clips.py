"""Clips of 2-D joints, as readers make them standard. See `gfp_serve.image_joints`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gfp_serve.conventions import Axis, Conventions
from gfp_serve.errors import DamagedFileError, InvalidSkeletonError
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.remark import Remark
from gfp_serve.image_joints import ImageAxis, from_image


def image_axis(path: Path, up: Axis | None) -> ImageAxis:
    """Which way is up in an image: down the file's y, if nothing is said. Raises `DamagedFileError` for x and z."""
    if up not in (None, "y", "-y"):
        raise DamagedFileError(f"{path}: these are 2-D joints, so y or -y is up, and not {up}.")
    return "y" if up == "y" else "-y"


def standard_clip(
    path: Path,
    clip: Clip,  # without a sequence yet
    joints: Float[np.ndarray, "frames bodies joints 2"],
    said: Conventions,
    *,
    confidence: Float[np.ndarray, "frames bodies joints"] | None = None,
    image_size: tuple[float, float] | None = None,  # as the file says it
) -> Iterator[Clip | Remark]:
    """Yield the clip and what had to be assumed for it, or why it is left out.

    What the caller has `said` goes before what the file says. Raises `DamagedFileError` where that cannot be.
    """
    if said.unit is not None or said.hand is not None:
        yield Remark("these are 2-D joints, of which neither a unit nor a hand says anything.")
    try:
        placed = from_image(
            joints,
            clip.layout,
            confidence=confidence,
            image_size=said.image_size or image_size,
            min_confidence=said.min_confidence,
            up=image_axis(path, said.up),
        )
    except InvalidSkeletonError as error:
        yield Remark(error.message, left_out=clip.name)
        return
    if placed.assumed:
        yield Remark(f"{placed.assumed} Say it with --image-size.")
    yield replace(clip, sequence=placed.sequence, dimensions=2)
