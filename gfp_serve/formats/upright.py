"""How the 3-D joints of a file are meant that does not say it all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from gfp_serve.conventions import Conventions, decide
from gfp_serve.errors import DamagedFileError
from gfp_serve.layouts import Layout


def settled(
    path: Path, sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout, known: Conventions
) -> Conventions:
    """What is known, the rest by anatomy, and right-handed where that shows nothing.

    Raises `DamagedFileError` where up or the unit stay open.
    """
    found = decide([sequence], layout, known)
    if found.up is None or found.unit is None:
        raise DamagedFileError(
            f"{path}: nothing says which way is up and in which unit its 3-D joints are: nobody stands along y or z in "
            f"it, or legs have no human length. Say it, for example --up=-y --unit m."
        )
    return replace(found, hand=found.hand or "right")
