"""How many files galleries keep open, and whether there is room for more.

What is refused here is refused in words. At the limit itself, databases and connections fail wherever they are.
"""

from collections.abc import Callable

from gfp_serve import open_files
from gfp_serve.errors import GfpError

# Files that a gallery keeps open: 7 of its database and its lock, and 7 of its derived files, which are mapped into
# memory if there is an index.
_FILES_OF_A_DATABASE, _FILES_OF_DERIVED = 7, 7
FILES_OF_A_GALLERY = _FILES_OF_A_DATABASE + _FILES_OF_DERIVED
# What is left for the making of one more gallery. While derived files are made, more is left, so that galleries which
# got theirs can all be opened at the next start.
_RESERVE, _RESERVE_OF_DERIVED = FILES_OF_A_GALLERY, 64

RAISE_LIMIT = "ulimit -Hn, LimitNOFILE= of systemd, or --ulimit nofile= of docker"


def check_files(what: str, error_type: Callable[[str], GfpError]) -> None:
    """Raise an error that begins with `what` if another gallery would take the last files that may be opened."""
    _check(what, FILES_OF_A_GALLERY, _RESERVE, error_type)


def check_files_at_start(
    what: str, num_galleries: int, num_with_derived: int, error_type: Callable[[str], GfpError]
) -> None:
    """The same for this many galleries, some of which have derived files already."""
    wanted = num_galleries * _FILES_OF_A_DATABASE + num_with_derived * _FILES_OF_DERIVED
    _check(what, wanted, _RESERVE, error_type)


def check_files_of_derived(what: str, error_type: Callable[[str], GfpError]) -> None:
    """The same for the derived files of a gallery that is open."""
    _check(what, _FILES_OF_DERIVED, _RESERVE_OF_DERIVED, error_type)


def _check(what: str, wanted: int, reserve: int, error_type: Callable[[str], GfpError]) -> None:
    num_open, limit = open_files.num_open(), open_files.limit()
    if num_open + wanted + reserve > limit:
        raise error_type(
            f"{what}: {wanted} more files would be open, and {num_open} of the {limit} that this process may open are "
            f"open already. Close connections, or raise the limit: {RAISE_LIMIT}."
        )
