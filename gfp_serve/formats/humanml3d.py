"""HumanML3D: the joints of a clip in `new_joints/NAME.npy`, and sentences about it in `texts/NAME.txt`.

An array has frames × 22 × 3: the joints of SMPL without hands, in metres, y up, 20 frames a second (HumanML3D,
README and motion_representation.ipynb). A line of the text is `sentence#its words with their kinds#from#to`.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gfp_serve.array_files import shown
from gfp_serve.conventions import STANDARD, Conventions, to_standard
from gfp_serve.errors import DamagedFileError
from gfp_serve.files import open_ordinary
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.remark import Remark
from gfp_serve.layouts import HUMANML22

FPS = 20.0
_NUM_FEATURES = 263
_MAX_TEXT_BYTES = 100_000


def is_one(array: np.ndarray) -> bool:
    """Whether an array has the shape of such a clip."""
    return array.ndim == 3 and array.shape[1:] == (HUMANML22.num_joints, 3) and array.dtype.kind == "f"


def is_features(array: np.ndarray) -> bool:
    """Whether an array has the shape of HumanML3D's features, which lie in `new_joint_vecs`."""
    return array.ndim == 2 and array.shape[1] == _NUM_FEATURES


def text_file_of(path: Path) -> Path | None:
    """The file with the sentences about a clip; None if there is none."""
    beside = path.absolute().parent.parent / "texts" / f"{path.stem}.txt"
    return beside if beside.is_file() else None


def read(path: Path, array: np.ndarray, said: Conventions) -> Iterator[Clip | Remark]:
    """Yield the clip of a file: metres, y up, right-handed, if the caller does not say otherwise.

    Its description is the first sentence about it. Raises `DamagedFileError` for a file without frames.
    """
    if not len(array):
        raise DamagedFileError(f"{path} has shape {shown(array.shape)}, so no frame; leave it out.")
    sequence = np.array(array[:, None], dtype=np.float32)
    found = said.or_else(STANDARD)
    if np.isinf(sequence).any():
        yield Remark("a coordinate is infinite; what was not seen is NaN.", left_out=path.stem)
        return
    if not found.is_standard:
        yield Remark(f"read as {found}.")
    yield Clip(
        name=path.stem,
        sequence=to_standard(sequence, found),
        layout=HUMANML22,
        fps=FPS,
        description=_description(text_file_of(path)),
    )


def _description(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        with open_ordinary(path) as file:
            return file.readline(_MAX_TEXT_BYTES).decode("utf-8", errors="replace").split("#")[0].strip()
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}.") from error
