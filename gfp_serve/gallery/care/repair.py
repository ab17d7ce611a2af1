"""Damage to a gallery's folder: finding all of it, and keeping all that is sound."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from gfp_serve.errors import GalleryError
from gfp_serve.files import sync_directory, sync_file
from gfp_serve.gallery.care.sqlite_salvage import Pages, Record
from gfp_serve.gallery.embedded.derived import check_derived, folders_of
from gfp_serve.gallery.embedded.item_store import (
    DATABASE_FILE,
    GalleryState,
    ItemRow,
    ItemStore,
    state_of,
)
from gfp_serve.gallery.embedded.lock import locked_folder
from gfp_serve.gallery.embedded.sqlite_log import check_log

# A repaired database is made in a folder of this name and then moved.
_UNFINISHED = "gallery.repaired"
_DAMAGED = f"{DATABASE_FILE}.damaged-"

# How SQLite writes the types of an item's number, which stands elsewhere, and of the text "cosine".
_NULL, _SIX_LETTERS = b"\x00", b"\x19"

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """How a gallery's folder stands.

    `problems` are those of the database, `damaged_derived` the folders of derived files that are damaged and why.
    `num_items` are the sound items, `lost` the ids of those that are not, `num_lost` their number: it is larger where
    the ids are lost too. `num_too_many` are sound items beyond those that should be there: in a damaged database some
    may be ones that were deleted earlier. `state` is None when the row that says what the gallery is was damaged.
    """

    state: GalleryState | None
    num_items: int
    problems: tuple[str, ...] = ()
    damaged_derived: tuple[tuple[Path, str], ...] = ()
    lost: tuple[str, ...] = ()
    num_lost: int = 0
    num_too_many: int = 0

    @property
    def is_sound(self) -> bool:
        return not (self.problems or self.damaged_derived)


@dataclass(frozen=True, slots=True)
class Repair:
    """What was done: `kept` is the damaged database under its new name, None when the database was sound."""

    findings: Findings
    kept: Path | None


def check_gallery(folder: Path) -> Findings:
    """Verify all files of a gallery that is not open; a gallery of an earlier release is brought up to date.

    Raises `GalleryError` when it is open, or not there.
    """
    with _taken(folder):
        return _findings(folder)


def repair_gallery(folder: Path, *, encoder_digest: str | None = None, embedding_size: int | None = None) -> Repair:
    """Keep all that is sound of a gallery that is not open.

    Derived files that are damaged are removed; the next open makes them again. Of a damaged database, every sound item
    comes into a new one, and the old one is kept beside it. Where the row that says what the gallery is was damaged,
    it is made again, for which `encoder_digest` is needed; `embedding_size` only if no item is left to tell it.

    Raises `GalleryError` when the gallery is open or not there, or when such a row cannot be made; nothing is changed
    then.
    """
    with _taken(folder):
        findings = _findings(folder)
        kept = None
        if findings.problems:
            findings, kept = _rebuild(folder, findings, encoder_digest, embedding_size)
        for derived in folders_of(folder) if findings.problems else [path for path, _ in findings.damaged_derived]:
            shutil.rmtree(derived)
        return Repair(findings, kept)


class _Salvage:
    """The sound items of a damaged database, and what is known of the others once all were read."""

    def __init__(self, pages: Pages, state: GalleryState | None) -> None:
        self.state = state
        self.embedding_size = None if state is None else state.embedding_size
        self.kept: dict[str, int] = {}  # numbers by id
        self._pages = pages
        self._known: dict[int, str] = {}  # ids by number, as the index has them

    def rows(self) -> Iterator[ItemRow]:
        """Every sound item. Of two with the same id, the one that comes later replaces the other."""
        for record in self._pages.records():
            self._note(record)
            row = self._sound(record)
            if row is not None and row.seq > self.kept.get(row.id, 0):
                self.kept[row.id] = row.seq
                yield row
        if self.state is None:
            for record in self._pages.records_anywhere(_SIX_LETTERS, within=b"cosine"):
                self._note(record)
        # The index knows items that no page points to: what the pages say of themselves may be what is damaged.
        if self.embedding_size and self._missing():
            for record in self._pages.records_anywhere(_type_of_blob(4 * self.embedding_size), begin=_NULL):
                row = self._sound(record)
                if row is not None and row.id not in self.kept and self._known.get(row.seq) == row.id:
                    self.kept[row.id] = row.seq
                    yield row

    def findings(self) -> Findings:
        """What became of all items, once `rows` has ended."""
        lost = self._missing()
        num_lost, num_too_many = len(lost), 0
        if self.state is not None:
            num_lost = max(num_lost, self.state.num_items - len(self.kept))
            num_too_many = max(0, len(self.kept) - self.state.num_items)
        return Findings(
            state=self.state,
            num_items=len(self.kept),
            lost=tuple(lost),
            num_lost=num_lost,
            num_too_many=num_too_many,
        )

    def _missing(self) -> list[str]:
        # By number too: an id in the index may itself be damaged.
        numbers = set(self.kept.values())
        missing = sorted(set(self._known) - numbers)
        return [self._known[number] for number in missing if self._known[number] not in self.kept]

    def _note(self, record: Record) -> None:
        match record:
            case Record(None, [str(id), int(seq)]):
                self._known[seq] = id
            case Record(int(), values) if (state := state_of(values)) is not None:
                if self.state is None or state.generation > self.state.generation:
                    self.state = state

    def _sound(self, record: Record) -> ItemRow | None:
        match record:
            # Items of format 1 have no source.
            case Record(int(seq), [None, str(id), str(label), str(attributes), bytes(vector), int(crc32), *rest]):
                match rest:
                    case [] | [str()]:
                        row = ItemRow(seq, id, label, attributes, "".join(map(str, rest)), vector)
                        if row.crc32 == crc32:
                            self.embedding_size = self.embedding_size or len(vector) // 4
                            return row if len(vector) == 4 * self.embedding_size else None
        return None


def _findings(folder: Path) -> Findings:
    problems: list[str] = []
    state: GalleryState | None = None
    try:
        # Else SQLite would remove the log, and with it what can still be read there.
        check_log(folder)
        with closing(ItemStore.open(folder, read_only=not os.access(folder, os.W_OK))) as store:
            state = store.state
            for look in (store.check, store.verify_items, lambda: store.removed_since(0)):
                try:
                    look()
                except GalleryError as error:
                    problems.append(str(error))
    except GalleryError as error:
        problems.append(str(error))
    damaged_derived = tuple(_damaged_derived(folder, state))
    if not problems and state is not None:
        return Findings(state=state, num_items=state.num_items, damaged_derived=damaged_derived)
    with closing(Pages(folder / DATABASE_FILE)) as pages:
        salvage = _Salvage(pages, state)
        for _ in salvage.rows():
            pass
        found = salvage.findings()
    return replace(found, problems=tuple(problems), damaged_derived=damaged_derived)


def _damaged_derived(folder: Path, state: GalleryState | None) -> Iterator[tuple[Path, str]]:
    for derived in folders_of(folder) if state is not None else ():
        try:
            check_derived(derived, state)  # type: ignore[arg-type]
        except (GalleryError, OSError) as error:
            yield derived, str(error)


def _rebuild(
    folder: Path, before: Findings, encoder_digest: str | None, embedding_size: int | None
) -> tuple[Findings, Path]:
    new = folder / _UNFINISHED
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    try:
        found = _fill(folder, new, before, encoder_digest, embedding_size)
        again = _findings(new)
        if again.problems:
            raise GalleryError(f"{new} is not as it was just written ({again.problems[0]}); look at the disk.")
        kept = _keep_old(folder)
        (new / DATABASE_FILE).replace(folder / DATABASE_FILE)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    sync_directory(folder)
    return replace(found, problems=before.problems, damaged_derived=before.damaged_derived), kept


def _fill(
    folder: Path, new: Path, before: Findings, encoder_digest: str | None, embedding_size: int | None
) -> Findings:
    """Make a database of the sound items. It has a `uid` of its own: files derived from the old one do not fit."""
    ItemStore.create(new, GalleryState("", 0))
    with closing(Pages(folder / DATABASE_FILE)) as pages, closing(ItemStore.open(new)) as store:
        salvage = _Salvage(pages, before.state)
        rows = salvage.rows()
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            with store.changing() as change:
                change.put(chunk)
        state = salvage.state
        if state is None:
            if encoder_digest is None:
                raise GalleryError(
                    f"the row that says what the gallery {folder} is cannot be read, so it is not known which encoder "
                    f"filled it; give --encoder-digest, which `gfp info` shows of a server that runs this encoder. "
                    f"Nothing was changed."
                )
            size = salvage.embedding_size or embedding_size
            if not size:
                raise GalleryError(
                    f"no item of the gallery {folder} is left to tell how long its vectors are; give --embedding-size, "
                    f"or fill a new gallery. Nothing was changed."
                )
            state = GalleryState(encoder_digest, size)
        with store.changing() as change:
            change.state = replace(
                state,
                uid=store.state.uid,
                generation=state.generation + 1,
                num_items=len(salvage.kept),
                last_seq=max([state.last_seq, *salvage.kept.values()]),
            )
        return salvage.findings()


def _keep_old(folder: Path) -> Path:
    """Give the damaged database another name, too, with the log of its last writes, and take the log away."""
    number = 1
    while (folder / f"{_DAMAGED}{number}").exists():
        number += 1
    kept = folder / f"{_DAMAGED}{number}"
    for ending in ("-wal", ""):
        file = folder / f"{DATABASE_FILE}{ending}"
        if file.exists():
            try:
                Path(f"{kept}{ending}").hardlink_to(file)
            except OSError:  # not every file system has links
                shutil.copy2(file, f"{kept}{ending}")
                sync_file(Path(f"{kept}{ending}"))
    sync_directory(folder)
    # The log must be gone before the new database has the name, to which SQLite would else add it.
    for ending in ("-wal", "-shm"):
        (folder / f"{DATABASE_FILE}{ending}").unlink(missing_ok=True)
    sync_directory(folder)
    return kept


def _type_of_blob(num_bytes: int) -> bytes:
    """How SQLite writes the type of a value of so many bytes."""
    kind = 12 + 2 * num_bytes
    content = bytes([kind & 0x7F])
    while kind := kind >> 7:
        content = bytes([kind & 0x7F | 0x80]) + content
    return content


@contextmanager
def _taken(folder: Path) -> Iterator[None]:
    if not (folder / DATABASE_FILE).is_file():
        raise GalleryError(f"{folder} is not a gallery: it holds no {DATABASE_FILE}; check the path.")
    with locked_folder(folder):
        yield
