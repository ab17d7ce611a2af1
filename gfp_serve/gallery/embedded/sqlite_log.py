"""Whether the write-ahead log of a gallery's database is as SQLite wrote it.

If a place in its log is damaged, SQLite silently ignores and removes everything after it. The format is described at
https://www.sqlite.org/fileformat2.html#walformat.
"""

import struct
from pathlib import Path

from gfp_serve.errors import GalleryError
from gfp_serve.gallery.embedded.item_store import RESTORE_OR_REPAIR
from gfp_serve.gallery.embedded.schema import DATABASE_FILE, PAGE_SIZE

# Bytes of the log's header, and of the header of each page in it.
LOG_HEADER, FRAME_HEADER = 32, 24
# The first bytes of a log. They say in which byte order its checksums are computed.
_LOG_OF_LITTLE_ENDIAN, _LOG_OF_BIG_ENDIAN = b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"


def check_log(folder: Path) -> None:
    """Raise `GalleryError` if the log has writes that SQLite would silently ignore and remove."""
    if log_is_damaged(folder / DATABASE_FILE):
        raise GalleryError(
            f"the gallery {folder} is damaged: the log of its last writes is not as it was written; {RESTORE_OR_REPAIR}"
        )


def log_is_damaged(database: Path) -> bool:
    """Whether the log has writes that SQLite would ignore and remove, because something before them is damaged.

    If only the last write is wrong, that does not count as damage: it looks like a write that a crash interrupted.
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
