"""Archives of arrays that somebody else wrote: what reading one may raise, and how large it may be."""

import tokenize
import zipfile
import zlib
from pathlib import Path

from gfp_serve.errors import DamagedFileError

# A file is refused if it unpacks to more than this many bytes and this many times its size: a few megabytes of zeros
# would fill the memory. Motion shrinks to about a third, a second body that is never there to nothing.
_FREE_BYTES, _MAX_EXPANSION = 256_000_000, 50

# What zipfile, zlib and numpy raise on a damaged archive of arrays, found by damaging files. RuntimeError is an
# encrypted member or an unknown compression, MemoryError an array header with an absurd shape. Headers that are not
# Python raise the last two.
UNREADABLE_ARCHIVE = (
    *(OSError, ValueError, EOFError, KeyError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error),
    *(SyntaxError, tokenize.TokenError),
)


def check_size(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise `DamagedFileError` for an archive that would fill the memory."""
    size = sum(member.file_size for member in archive.infolist())
    if size > max(_FREE_BYTES, _MAX_EXPANSION * path.stat().st_size):
        raise DamagedFileError(
            f"{path} would take {size / 1e6:.0f} MB of memory, more than {_MAX_EXPANSION} times its own size; recorded "
            f"motion takes less. If the file is right, write it uncompressed."
        )
