"""Checking a gallery's folder for damage, and repairing it: everything that is sound is kept."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from gfp_serve.errors import GalleryError, quoted
from gfp_serve.files import sync_directory, sync_file
from gfp_serve.gallery.care.mending import Cleared, mended
from gfp_serve.gallery.care.sqlite_salvage import Pages, Record
from gfp_serve.gallery.embedded.derived_check import check_derived, derived_folders
from gfp_serve.gallery.embedded.item_codec import problem_of_vector
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.gallery.embedded.lock import locked_folder
from gfp_serve.gallery.embedded.schema import DATABASE_FILE, GalleryState, ItemRow, is_sound_motion, read_state
from gfp_serve.gallery.embedded.sqlite_log import check_log

# A repaired database is made in a folder with this name and then moved.
_UNFINISHED = "gallery.repaired"
_DAMAGED = f"{DATABASE_FILE}.damaged-"

# How SQLite writes the type of an item's number, which it stores elsewhere, and the type of the text "cosine".
_NULL, _SIX_LETTERS = b"\x00", b"\x19"

_ROWS_AT_ONCE, _MOTIONS_AT_ONCE = 4096, 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is sound and what is damaged in a gallery's folder.

    - `state`: what the gallery is; None if the row that says so is damaged.
    - `num_items`: number of items that are kept: sound ones, and those in `cleared`.
    - `problems`: what is wrong with the database.
    - `damaged_derived`: damaged folders of derived files, with the reason.
    - `cleared`: ids of the items with parts that an upsert would refuse today, and those parts. An earlier release took
      them. A repair clears the parts and keeps the items.
    - `lost`: ids of the items that are not sound.
    - `num_lost`: their number. It is larger than `lost` if some ids are lost too.
    - `num_motions_lost`: number of kept motions that are not sound, or whose items are lost.
    - `num_too_many`: sound items beyond the number that should be there. In a damaged database, some of them may be
      items that were deleted earlier.
    """

    state: GalleryState | None
    num_items: int
    problems: tuple[str, ...] = ()
    damaged_derived: tuple[tuple[Path, str], ...] = ()
    cleared: tuple[tuple[str, Cleared], ...] = ()
    lost: tuple[str, ...] = ()
    num_lost: int = 0
    num_motions_lost: int = 0
    num_too_many: int = 0

    @property
    def is_sound(self) -> bool:
        return not (self.problems or self.damaged_derived)


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did. `kept` is the damaged database under its new name; None if the database was sound."""

    findings: Findings
    kept: Path | None


def check_gallery(folder: Path) -> Findings:
    """Verify all files of a gallery that is not open. A gallery of an earlier release is converted.

    Raises `GalleryError` if the gallery is open or does not exist.
    """
    with _locked(folder):
        return _examine(folder)


def repair_gallery(folder: Path, *, encoder_digest: str | None = None, embedding_size: int | None = None) -> Repair:
    """Keep everything that is sound of a gallery that is not open.

    Damaged derived files are removed; the next open makes them again. If the database is damaged, its sound items are
    written into a new one, and the old one is kept beside it. The same is done if items have parts that an upsert would
    refuse today; see `Findings.cleared`. If the row that says what the gallery is was damaged, a new one is made:
    `encoder_digest` is then required, and `embedding_size` only if no item is left.

    Raises `GalleryError` if the gallery is open or does not exist, or if such a row cannot be made; then nothing is
    changed.
    """
    with _locked(folder):
        findings = _examine(folder)
        kept = None
        if findings.problems:
            findings, kept = _rebuild(folder, findings, encoder_digest, embedding_size)
        for derived in derived_folders(folder) if findings.problems else [path for path, _ in findings.damaged_derived]:
            shutil.rmtree(derived)
        return Repair(findings, kept)


class _Salvage:
    """Reads the sound items of a damaged database, and knows what became of the others when all were read."""

    def __init__(self, pages: Pages, state: GalleryState | None) -> None:
        self.state = state
        self.embedding_size = None if state is None else state.embedding_size
        self.kept: dict[str, int] = {}  # numbers by id
        self.cleared: dict[str, Cleared] = {}  # what an upsert would refuse of those that are kept, by id
        self.num_motions = 0  # that were found for those that are kept
        self._pages = pages
        self._known: dict[int, str] = {}  # ids by number, as the index has them

    def rows(self) -> Iterator[ItemRow]:
        """Yield every sound item. If two have the same id, the later one replaces the other."""
        for record in self._pages.records():
            self._note(record)
            found = self._sound_item(record)
            if found is not None and found[0].seq > self.kept.get(found[0].id, 0):
                yield self._keep(*found)
        if self.state is None:
            for record in self._pages.records_anywhere(_SIX_LETTERS, within=b"cosine"):
                self._note(record)
        # The index knows items that no page points to: a page's description of itself may be what is damaged.
        if self.embedding_size and self._missing():
            for record in self._pages.records_anywhere(_type_of_blob(4 * self.embedding_size), begin=_NULL):
                found = self._sound_item(record)
                if found is None:
                    continue
                row, _ = found
                if row.id not in self.kept and self._known.get(row.seq) == row.id:
                    yield self._keep(*found)

    def motions(self) -> Iterator[tuple[int, bytes]]:
        """Yield the numbers and motions of items that are kept. Call it after the end of `rows`."""
        numbers = set(self.kept.values())
        for record in self._pages.records():
            match record:
                case Record(int(seq), [None, bytes(motion), int(crc32)]) if seq in numbers:
                    if is_sound_motion((seq, motion, crc32)):
                        self.num_motions += 1
                        numbers.discard(seq)  # a page may be there twice
                        yield seq, motion

    def _keep(self, row: ItemRow, cleared: Cleared) -> ItemRow:
        self.kept[row.id] = row.seq
        self.cleared.pop(row.id, None)  # of an earlier item with this id
        if cleared:
            self.cleared[row.id] = cleared
        return row

    def findings(self) -> Findings:
        """What became of all items. Call it after the end of `rows` and `motions`."""
        lost = self._missing()
        num_lost, num_too_many = len(lost), 0
        if self.state is not None:
            num_lost = max(num_lost, self.state.num_items - len(self.kept))
            num_too_many = max(0, len(self.kept) - self.state.num_items)
        return Findings(
            state=self.state,
            num_items=len(self.kept),
            cleared=tuple(self.cleared.items()),
            lost=tuple(lost),
            num_lost=num_lost,
            num_motions_lost=max(0, (self.state.num_motions or 0) - self.num_motions) if self.state else 0,
            num_too_many=num_too_many,
        )

    def _missing(self) -> list[str]:
        # By number too, because an id in the index may be damaged.
        numbers = set(self.kept.values())
        missing = sorted(set(self._known) - numbers)
        return [self._known[number] for number in missing if self._known[number] not in self.kept]

    def _note(self, record: Record) -> None:
        match record:
            case Record(None, [str(id), int(seq)]):
                self._known[seq] = id
            case Record(int(), values) if (state := read_state(values)) is not None:
                if self.state is None or state.generation > self.state.generation:
                    self.state = state

    def _sound_item(self, record: Record) -> tuple[ItemRow, Cleared] | None:
        match record:
            # Items of format 1 have no source.
            case Record(int(seq), [None, str(id), str(label), str(attributes), bytes(vector), int(crc32), *rest]):
                match rest:
                    case [] | [str()]:
                        row = ItemRow(seq, id, label, attributes, "".join(map(str, rest)), vector)
                        if row.crc32 == crc32:
                            self.embedding_size = self.embedding_size or len(vector) // 4
                            fits = len(vector) == 4 * self.embedding_size and problem_of_vector(row) is None
                            return mended(row) if fits else None
        return None


def _examine(folder: Path) -> Findings:
    problems: list[str] = []
    state: GalleryState | None = None
    try:
        # First: SQLite would remove a damaged log, and with it what can still be read there.
        check_log(folder)
        with closing(ItemStore.open(folder, read_only=not os.access(folder, os.W_OK))) as store:
            state = store.state
            unfit: list[str] = []
            for check in (
                store.check_structure,
                lambda: store.check_items(lambda row, problem: unfit.append(f"{quoted(row.id)}: {problem}")),
                store.check_motions,
                lambda: store.removed_since(0),
            ):
                try:
                    check()
                except GalleryError as error:
                    problems.append(str(error))
            if unfit:
                problems.append(
                    f"the gallery {folder} has {len(unfit)} items that an upsert would refuse today, beginning with "
                    f"{unfit[0]}"
                )
    except GalleryError as error:
        problems.append(str(error))
    damaged_derived = tuple(_damaged_derived(folder, state))
    if not problems and state is not None:
        return Findings(state=state, num_items=state.num_items, damaged_derived=damaged_derived)
    with closing(Pages(folder / DATABASE_FILE)) as pages:
        salvage = _Salvage(pages, state)
        for _ in salvage.rows():
            pass
        for _ in salvage.motions():
            pass
        found = salvage.findings()
    return replace(found, problems=tuple(problems), damaged_derived=damaged_derived)


def _damaged_derived(folder: Path, state: GalleryState | None) -> Iterator[tuple[Path, str]]:
    for derived in derived_folders(folder) if state is not None else ():
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
        again = _examine(new)
        if again.problems:
            raise GalleryError(f"the new database in {new} is damaged already ({again.problems[0]}); check the disk.")
        kept = _set_old_aside(folder)
        (new / DATABASE_FILE).replace(folder / DATABASE_FILE)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    sync_directory(folder)
    return replace(found, problems=before.problems, damaged_derived=before.damaged_derived), kept


def _fill(
    folder: Path, new: Path, before: Findings, encoder_digest: str | None, embedding_size: int | None
) -> Findings:
    """Make a database of the sound items. It has a new `uid`, so files derived from the old one are not used."""
    ItemStore.create(new, GalleryState("", 0))
    with closing(Pages(folder / DATABASE_FILE)) as pages, closing(ItemStore.open(new)) as store:
        salvage = _Salvage(pages, before.state)
        rows = salvage.rows()
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            with store.transaction() as change:
                change.put_back(chunk)
        motions = salvage.motions()
        while some := list(islice(motions, _MOTIONS_AT_ONCE)):
            with store.transaction() as change:
                change.put_back_motions(some)
        state = salvage.state
        if state is None:
            if encoder_digest is None:
                raise GalleryError(
                    f"the row that says what the gallery {folder} is cannot be read, so it is not known which encoder "
                    f"filled it; give --encoder-digest, as `gfp info` shows it for a server with this encoder. Nothing "
                    f"was changed."
                )
            size = salvage.embedding_size or embedding_size
            if not size:
                raise GalleryError(
                    f"no item of the gallery {folder} is left, so the length of its vectors is not known; give "
                    f"--embedding-size, or fill a new gallery. Nothing was changed."
                )
            state = GalleryState(encoder_digest, size)
        with store.transaction() as change:
            change.state = replace(
                state,
                uid=store.state.uid,
                generation=state.generation + 1,
                num_items=len(salvage.kept),
                last_seq=max([state.last_seq, *salvage.kept.values()]),
                num_motions=salvage.num_motions or None,
            )
        return salvage.findings()


def _set_old_aside(folder: Path) -> Path:
    """Keep the damaged database and its log under a second name, and remove the log under the first."""
    number = 1
    while (folder / f"{_DAMAGED}{number}").exists():
        number += 1
    kept = folder / f"{_DAMAGED}{number}"
    for ending in ("-wal", ""):
        file = folder / f"{DATABASE_FILE}{ending}"
        if file.exists():
            try:
                Path(f"{kept}{ending}").hardlink_to(file)
            except OSError:  # not every file system has hard links
                shutil.copy2(file, f"{kept}{ending}")
                sync_file(Path(f"{kept}{ending}"))
    sync_directory(folder)
    # The log must be gone before the new database gets its name, because SQLite would apply the log to it.
    for ending in ("-wal", "-shm"):
        (folder / f"{DATABASE_FILE}{ending}").unlink(missing_ok=True)
    sync_directory(folder)
    return kept


def _type_of_blob(num_bytes: int) -> bytes:
    """How SQLite writes the type of a blob of this many bytes."""
    kind = 12 + 2 * num_bytes
    content = bytes([kind & 0x7F])
    while kind := kind >> 7:
        content = bytes([kind & 0x7F | 0x80]) + content
    return content


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    if not (folder / DATABASE_FILE).is_file():
        raise GalleryError(f"{folder} is not a gallery: it has no {DATABASE_FILE}; check the path.")
    with locked_folder(folder):
        yield
