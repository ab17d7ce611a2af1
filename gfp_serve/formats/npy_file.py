"""Arrays in `.npy` files. Their shape tells what they are."""

from collections.abc import Iterator
from pathlib import Path

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import agcn
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.npy_array import open_array, shown
from gfp_serve.formats.remark import Remark


def is_recording(path: Path) -> bool:
    """Whether the shape of an array is one that is read here. Arrays can be anything, such as labels and means."""
    try:
        array = open_array(path)
    except DamagedFileError:
        return agcn.label_file_of(path) is not None  # the reader says what is wrong
    return array.ndim == agcn.NUM_AXES


def read(path: Path, said: Conventions = Conventions()) -> Iterator[Clip | Remark]:  # noqa: B008 (it cannot be changed)
    """Yield how the file was read, and its clips. See the modules of the formats. Raises `DamagedFileError`."""
    array = open_array(path)
    if array.ndim == agcn.NUM_AXES:
        yield from agcn.read(path, array, said)
        return
    raise DamagedFileError(
        f"{path} has shape {shown(array.shape)}, which is of no known format; expected clips × 3 × frames × joints × "
        f"bodies (ST-GCN, 2s-AGCN). gfp_serve.formats.write_clip_file makes a clip file of arrays."
    )
