"""The inventory of a gallery's derived files, and checking them against it. This needs no FAISS; see `derived`."""

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from gfp_serve.errors import GalleryError
from gfp_serve.gallery.embedded.lock import LOCK_FILE
from gfp_serve.gallery.embedded.schema import DATABASE_FILE, GalleryState
from gfp_serve.items import ServingKind

# No gallery can have such a name: the first release kept the default gallery in the folder that holds the others.
PREFIX = "derived."
_PREFIX_BEFORE = "derived-"
INVENTORY_FILE = "manifest.json"
FORMAT_VERSION = 2
_CHUNK = 2**24


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the files contain: rows [0, num_rows) of the gallery `uid` as it was at `generation`."""

    format_version: int
    uid: str
    generation: int
    last_seq: int
    num_rows: int
    embedding_size: int
    serving_kind: ServingKind
    default_effort: int  # of the index; see `Index`
    files: dict[str, list[int]]  # name -> bytes, crc32
    # The kind that was made, and did not suit this many items; see `Unsuited`. Empty if none was.
    unsuited_kind: ServingKind | Literal[""] = ""
    unsuited_items: int = 0

    def to_json(self) -> dict[str, Any]:
        content = asdict(self)
        content["looks"] = content.pop("default_effort")  # the format's name for it
        return content | {"crc32": _crc32_of_json(content)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Inventory | None":
        """The inventory that `to_json` wrote; None if it was altered or has another format."""
        crc32 = content.pop("crc32")
        if crc32 != _crc32_of_json(content) or content["format_version"] != FORMAT_VERSION:
            return None
        return cls(default_effort=content.pop("looks"), **content)


def derived_folders(gallery: Path) -> list[Path]:
    """Folders of derived files, the newest first."""
    return _numbered(gallery, PREFIX)


def earlier_derived_folders(gallery: Path) -> list[Path]:
    """Folders of derived files of format 1, which are made again. Galleries can have their names, but have a lock."""
    return [
        folder
        for folder in _numbered(gallery, _PREFIX_BEFORE)
        if (folder / INVENTORY_FILE).exists()
        and not any((folder / name).exists() for name in (LOCK_FILE, DATABASE_FILE))
    ]


def _numbered(gallery: Path, prefix: str) -> list[Path]:
    found = [folder for folder in gallery.glob(f"{prefix}*") if folder.name.removeprefix(prefix).isdecimal()]
    return sorted(found, key=lambda folder: int(folder.name.removeprefix(prefix)), reverse=True)


def check_derived(folder: Path, state: GalleryState) -> Inventory:
    """Verify every byte of the files and return their inventory. Raises `GalleryError` that names the damaged file."""
    inventory = _read_inventory(folder)
    if inventory.uid != state.uid or inventory.generation > state.generation:
        raise GalleryError(f"{folder} was made from another gallery, or from a later state of this one.")
    for name in inventory.files:
        if Path(name).name != name:
            raise GalleryError(f"{folder / name} is missing.")
        check_file(folder, inventory, name)
    return inventory


def check_file(folder: Path, inventory: Inventory, name: str) -> None:
    """Verify every byte of one file of the inventory. Raises `GalleryError` that names it."""
    file = folder / name
    num_bytes, crc32 = inventory.files[name]
    if not file.is_file():
        raise GalleryError(f"{file} is missing.")
    if file.stat().st_size != num_bytes or _crc32_of(file) != crc32:
        raise damaged(file)


def damaged(file: Path) -> GalleryError:
    """The error for a file with other bytes than were written."""
    return GalleryError(f"{file} is damaged: its bytes are not those that were written.")


def _read_inventory(folder: Path) -> Inventory:
    file = folder / INVENTORY_FILE
    try:
        inventory = Inventory.from_json(json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise GalleryError(f"{file} is damaged: it cannot be read ({error}).") from error
    if inventory is None:
        raise GalleryError(f"{file} is damaged, or of another release.")
    return inventory


def _crc32_of(file: Path) -> int:
    crc32 = 0
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            crc32 = zlib.crc32(chunk, crc32)
    return crc32


def _crc32_of_json(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
