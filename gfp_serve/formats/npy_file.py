"""Arrays in `.npy` files. Their shape tells what they are."""

from collections.abc import Iterator
from pathlib import Path

from gfp_serve.array_files import shown
from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import agcn, humanml3d
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.npy_array import open_array
from gfp_serve.formats.remark import Remark


def is_recording(path: Path) -> bool:
    """Whether the shape of an array is one that is read here. Arrays can be anything, such as labels and means."""
    try:
        array = open_array(path)
    except DamagedFileError:  # the reader says what is wrong
        return agcn.label_file_of(path) is not None or humanml3d.text_file_of(path) is not None
    return array.ndim == agcn.NUM_AXES or humanml3d.is_one(array)


def files_beside(path: Path) -> list[Path]:
    """The labels of an array, or the text about it."""
    return [file for file in (agcn.label_file_of(path), humanml3d.text_file_of(path)) if file is not None]


def read(path: Path, said: Conventions = Conventions()) -> Iterator[Clip | Remark]:  # noqa: B008 (it cannot be changed)
    """Yield how the file was read, and its clips. See the modules of the formats. Raises `DamagedFileError`."""
    array = open_array(path)
    if array.ndim == agcn.NUM_AXES:
        yield from agcn.read(path, array, said)
    elif humanml3d.is_one(array):
        yield from humanml3d.read(path, array, said)
    else:
        raise DamagedFileError(
            f"{path} has shape {shown(array.shape)}, which is of no known format; expected floating-point clips × 3 × "
            f"frames × joints × bodies (ST-GCN, 2s-AGCN) or frames × 22 × 3 (HumanML3D). "
            f"gfp_serve.formats.write_clip_file makes a clip file of arrays."
        )
