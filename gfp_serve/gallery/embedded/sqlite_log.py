"""The write-ahead log of a gallery's database: whether it is as SQLite wrote it.

SQLite leaves out, and removes, what follows a damaged place in its log, and says nothing. The format is that of
https://www.sqlite.org/fileformat2.html#walformat.
"""

import struct
from pathlib import Path

from gfp_serve.errors import GalleryError
from gfp_serve.gallery.embedded.item_store import DATABASE_FILE, PAGE_SIZE

# Of the write-ahead log: its header, and the header of each page in it.
LOG_HEADER, FRAME_HEADER = 32, 24
# How a log begins whose checksums are of words in this order.
_LOG_OF_LITTLE_ENDIAN, _LOG_OF_BIG_ENDIAN = b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"


def check_log(folder: Path) -> None:
    """Raise `GalleryError` when a gallery's log has writes that SQLite would leave out, and remove, in silence."""
    if log_is_damaged(folder / DATABASE_FILE):
        raise GalleryError(
            f"the gallery {folder} is damaged: the log of its last writes is not as it was written; restore the "
            f"folder from a snapshot, or keep what is sound with `gfp gallery repair`."
        )


def log_is_damaged(database: Path) -> bool:
    """Whether the write-ahead log has writes that SQLite would leave out, and remove, for something wrong before them.

    What is wrong in the last write alone is no damage: so looks one that a crash broke off.
    """
    log = Path(f"{database}-wal")
    if not log.is_file():
        return False
    with log.open("rb") as opened:
        header = opened.read(LOG_HEADER)
        words = "<" if header[:4] == _LOG_OF_LITTLE_ENDIAN else ">"
        sums = _checksums((0, 0), header[:24], words)
        is_sound = header[:4] in (_LOG_OF_LITTLE_ENDIAN, _LOG_OF_BIG_ENDIAN) and _packed(sums) == header[24:]
        salts = {header[16:24]} if is_sound else set()
        writes_after = 0
        while len(frame := opened.read(FRAME_HEADER + PAGE_SIZE)) == FRAME_HEADER + PAGE_SIZE:
            salts = salts or {header[16:24], frame[8:16]}
            of_this_round = frame[8:16] in salts
            if is_sound:
                sums = _checksums(_checksums(sums, frame[:8], words), frame[FRAME_HEADER:], words)
                is_sound = of_this_round and _packed(sums) == frame[16:24]
            if not is_sound:
                writes_after += of_this_round and any(frame[4:8])
    return writes_after > 1


def _checksums(sums: tuple[int, int], content: bytes, order: str) -> tuple[int, int]:
    one, other = sums
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = one + even + other & 0xFFFFFFFF
        other = other + odd + one & 0xFFFFFFFF
    return one, other


def _packed(sums: tuple[int, int]) -> bytes:
    return struct.pack(">2I", *sums)
