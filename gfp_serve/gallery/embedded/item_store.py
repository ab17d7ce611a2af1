"""Items on disk, in one SQLite database. It is the only source of truth; all other files of a gallery are made from it.

Every row has a checksum and the `gallery` row counts the items, so damage is reported and never part of an answer.
"""

import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from gfp_serve.errors import GalleryError, NotWritableError, quoted
from gfp_serve.files import identity_of, replacing, sync_directory, unfinished_files
from gfp_serve.gallery.embedded.change import Change, select_by_ids
from gfp_serve.gallery.embedded.item_codec import problem_of, problem_of_vector
from gfp_serve.gallery.embedded.schema import (
    APPLICATION_ID,
    CREATE_TABLES,
    DATABASE_FILE,
    FORMAT_VERSION,
    SELECT_ITEM,
    SELECT_ITEM_WITH_MOTION,
    UPGRADE_FROM_FORMAT_1,
    GalleryState,
    ItemRow,
    insert_state,
    is_sound_motion,
    read_row,
    read_state,
    run_statements,
    unexpected_part,
)
from gfp_serve.gallery.protocols import was_dropped

# What a crash left while an earlier release made a database.
_UNFINISHED_BEFORE = (f"{DATABASE_FILE}.new", f"{DATABASE_FILE}.new-journal")

# The write-ahead log may grow by this many pages of 4 KiB before they are moved into the database. A long log makes the
# next open a little slower; moving pages often makes every write slower.
_LOG_PAGES = 16384

# More than an item's row can have.
_MAX_VALUE_BYTES = 256 * 2**20
# A long read asks after this many of SQLite's instructions, which take about a millisecond, whether it should stop.
_INSTRUCTIONS_PER_QUESTION = 10_000

# Called with an item that an earlier release took and this one would not, and why.
OnUnfit = Callable[[ItemRow, str], None]

# What to do about damage, at the end of an error.
RESTORE_OR_REPAIR = "restore the folder from a snapshot, or keep what is sound with `gfp gallery repair`."


class ItemStore:
    """The open database. One thread at a time may write; any thread may read meanwhile.

    If an item with a number up to `remember_removed_up_to` is removed, the database remembers that, because a derived
    file may still contain the item.
    """

    def __init__(
        self, folder: Path, connection: sqlite3.Connection, state: GalleryState, *, read_only: bool = False
    ) -> None:
        self.state = state
        self.remember_removed_up_to = 0
        self._folder = folder
        self._connection = connection
        self._read_only = read_only
        # The files that writes go to: whoever moves or removes them does not move what SQLite has open.
        files = (_database(folder), Path(f"{_database(folder)}-wal"))
        self._written_to = {file: identity for file in files if (identity := identity_of(file)) is not None}
        self._is_lost = False  # a change was made in files that are gone
        # The name of a gallery that is being dropped. If its files are gone, they are gone on purpose.
        self.dropped_as: str | None = None
        # For reads of a few items. With a connection each, threads would still wait for each other inside SQLite.
        self._reader = _connect(folder, read_only=True, immutable=read_only)
        self._reading = threading.Lock()
        self._should_stop: Callable[[], bool] | None = None

    @staticmethod
    def create(folder: Path, state: GalleryState) -> None:
        """Write an empty database into a folder that has none. It gets a `uid` of its own.

        The caller keeps other processes out of the folder. What a crash left of an unfinished database is removed.
        """
        for leftover in unfinished_databases(folder):
            leftover.unlink()
        # Motion of people: only the owner may read it. Files that SQLite makes beside the database get the same mode.
        with (
            _errors_named(folder),
            replacing(folder / DATABASE_FILE, mode=0o600) as unfinished,
            closing(sqlite3.connect(unfinished, isolation_level=None)) as connection,
        ):
            # A journal that a crash left would be played back into the next new database.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.executescript(CREATE_TABLES)
            insert_state(connection, replace(state, uid=uuid.uuid4().hex))
        sync_directory(folder.parent)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> "ItemStore":
        """Open what `create` made, in this release or an earlier one. Raises `GalleryError` if it is not a gallery.

        `read_only` is for a disk that cannot be written: writes then raise `NotWritableError`.
        """
        if read_only and _size_of(folder / f"{DATABASE_FILE}-wal"):
            raise GalleryError(
                f"the gallery {folder} was not closed, and its last writes can be read only if the folder can be "
                f"written; check the folder's permissions and how the disk is mounted."
            )
        with _errors_named(folder):
            connection = _connect(folder, read_only=read_only, immutable=read_only)
            try:
                return cls(folder, connection, _prepare(folder, connection, read_only), read_only=read_only)
            except BaseException:
                connection.close()
                raise

    @classmethod
    def open_for_reading(cls, place: Path, *, alone: bool = False) -> "ItemStore":
        """Open a gallery's folder, or a database file, only to read it, even while a server writes to it.

        `alone` is for a file that nobody writes to, and whose content is its own: a log or journal that lies beside it
        is not read. Nothing is locked or changed. Raises `GalleryError` if it is damaged, or if an earlier release
        wrote it.
        """
        state = peek(place, alone=alone)
        if not state.uid:
            raise GalleryError(
                f"the gallery {place} has the format of an earlier release; start gfp-serve with it once, which "
                f"converts it."
            )
        with _errors_named(place):
            return cls(place, _connect(place, read_only=True, immutable=alone), state, read_only=alone)

    def stop_when(self, should_stop: Callable[[], bool]) -> None:
        """From now on, end long reads with a `GalleryError` when `should_stop` says so."""
        self._should_stop = should_stop
        self._reader.set_progress_handler(should_stop, _INSTRUCTIONS_PER_QUESTION)

    def rows(
        self, *, after: int = 0, up_to: int | None = None, chunk: int = 4096, with_motions: bool = False
    ) -> Iterator[list[ItemRow]]:
        """Yield the items with numbers above `after` and at most `up_to`, by number, in lists of at most `chunk`.

        They are as they were when the first list was requested. Raises `GalleryError` that names the first damaged
        item.
        """
        select = SELECT_ITEM_WITH_MOTION if with_motions and self.state.num_motions else SELECT_ITEM
        with _errors_named(self._folder), closing(self._connect_again()) as connection:
            # One transaction: the size is that of the rows that are read. A path may lead elsewhere by now.
            connection.execute("BEGIN")
            most_bytes = _size_of_database(connection)
            cursor = connection.execute(
                f"{select} WHERE items.seq > ? AND items.seq <= ? ORDER BY items.seq",
                (after, 2**62 if up_to is None else up_to),
            )
            num_bytes = 0
            while found := cursor.fetchmany(chunk):
                # A database whose pages point to each other in a circle would give rows without end.
                num_bytes += len(found) * 4 * self.state.embedding_size
                if num_bytes > most_bytes:
                    raise GalleryError(
                        f"the gallery {self._folder} is damaged: it gives more items than it has room for; "
                        f"{RESTORE_OR_REPAIR}"
                    )
                yield [self._checked(row) for row in found]

    def rows_by_id(self, ids: Sequence[str], *, with_motions: bool = False) -> dict[str, ItemRow]:
        """The items that have one of these ids."""
        select = SELECT_ITEM_WITH_MOTION if with_motions and self.state.num_motions else SELECT_ITEM
        with _errors_named(self._folder), self._reading:
            # In one transaction: all of them are seen either before an upsert or after it.
            self._reader.execute("BEGIN")
            try:
                found = list(select_by_ids(self._reader, select, ids))
            finally:
                self._reader.execute("COMMIT")
        rows = map(self._checked, found)
        return {row.id: row for row in rows}

    def removed_since(self, generation: int) -> list[int]:
        """Numbers of the items that were removed after this generation, as far as they were remembered."""
        with _errors_named(self._folder):
            found = self._connection.execute("SELECT seq FROM removed WHERE generation > ?", (generation,)).fetchall()
            # These rows have no checksums. But a number is never used again, and the number of items left is known.
            if self._connection.execute("SELECT 1 FROM removed JOIN items USING (seq) LIMIT 1").fetchone():
                raise GalleryError(f"the gallery {self._folder} is damaged: an item that it calls removed is there.")
        return [seq for (seq,) in found]

    def forget_removed(self, generation: int) -> None:
        """Forget what was removed up to this generation, because no derived file contains it any more."""
        with _errors_named(self._folder):
            remembers = self._connection.execute("SELECT 1 FROM removed LIMIT 1").fetchone()
            if remembers and not self._read_only:
                with self._sql_transaction() as connection:
                    connection.execute("DELETE FROM removed WHERE generation <= ?", (generation,))

    @contextmanager
    def transaction(self) -> Iterator[Change]:
        """Make a change: all of it or nothing, durable at the end of the `with` block.

        Raises `NotWritableError` if the disk refuses, or if the folder was moved or removed since it was opened, and
        `GalleryNotFoundError` if the gallery was dropped.
        """
        if self._read_only:
            raise NotWritableError(
                f"the gallery {self._folder} was opened from a disk that cannot be written, so it only answers; make "
                f"the folder writable, then start again."
            )
        self._check_there()
        try:
            with self._sql_transaction() as connection:
                change = Change(connection, self.state, self.remember_removed_up_to)
                yield change
                if change.state != self.state:
                    connection.execute("DELETE FROM gallery")
                    insert_state(connection, change.state)
        except sqlite3.Error as error:
            raise NotWritableError(
                f"the gallery {self._folder} cannot be written ({error}), and is as it was before; check the disk's "
                f"free space and the folder's permissions, then send the request again."
            ) from error
        try:
            self._check_there()
        except GalleryError:
            self._is_lost = True
            raise
        self.state = change.state

    @property
    def is_read_only(self) -> bool:
        return self._read_only

    @property
    def num_bytes(self) -> int:
        """Bytes of the database."""
        with _errors_named(self._folder), self._reading:
            return _size_of_database(self._reader)

    def count(self) -> int:
        """Number of items in the database, counted."""
        with _errors_named(self._folder):
            ((count,),) = self._connection.execute("SELECT COUNT(*) FROM items")
        return int(count)

    def check_structure(self, *, with_motions: bool = True) -> None:
        """Raise `GalleryError` if SQLite's own structures are damaged, for example the index that finds ids.

        Without motions, their pages are not read, which may be most of the database.
        """
        what = "items" if self.state.num_motions and not with_motions else "1"
        with _errors_named(self._folder), self._reading:
            found, *_ = self._reader.execute(f"PRAGMA integrity_check({what})").fetchone()
        if found != "ok":
            raise GalleryError(f"the gallery {self._folder} is damaged: {found}; {RESTORE_OR_REPAIR}")

    def check_items(self, on_unfit: OnUnfit) -> None:
        """Raise `GalleryError` if an item is damaged, or if their number is wrong; tell `on_unfit` of unfit ones."""
        num_items = last_seq = 0
        for rows in self.rows():
            num_items, last_seq = num_items + len(rows), rows[-1].seq
            for row in rows:
                if (problem := problem_of_vector(row)) is not None:
                    raise GalleryError(
                        f"the gallery {self._folder} is damaged: item {quoted(row.id)} is not one that a gallery "
                        f"stores: {problem} {RESTORE_OR_REPAIR.capitalize()}"
                    )
                if (problem := problem_of(row)) is not None:
                    on_unfit(row, problem)
        self.check_count(num_items)
        if last_seq > self.state.last_seq:
            raise GalleryError(
                f"the gallery {self._folder} is damaged: an item has the number {last_seq}, and the highest should be "
                f"{self.state.last_seq}; {RESTORE_OR_REPAIR}"
            )

    def check_motions(self) -> None:
        """Raise `GalleryError` if a kept motion is damaged, belongs to no item, or is lost."""
        if self.state.num_motions is None:
            return
        num_motions = 0
        with _errors_named(self._folder), closing(self._connect_again()) as connection:
            found = connection.execute(
                "SELECT id, motions.seq, motion, motions.crc32 FROM motions LEFT JOIN items USING (seq)"
            )
            for id, *row in found:
                if id is None:
                    raise GalleryError(
                        f"the gallery {self._folder} is damaged: it keeps the motion of an item that is not there; "
                        f"{RESTORE_OR_REPAIR}"
                    )
                self._checked_motion(id, row)
                num_motions += 1
                if num_motions > self.state.num_motions:
                    break  # pages that point to each other in a circle would give rows without end
        if num_motions != self.state.num_motions:
            raise GalleryError(
                f"the gallery {self._folder} is damaged: it should keep {self.state.num_motions} motions but has "
                f"{num_motions}; {RESTORE_OR_REPAIR}"
            )

    def check_count(self, num_items: int) -> None:
        """Raise `GalleryError` if this is not the number of items that there should be."""
        if num_items != self.state.num_items:
            raise GalleryError(
                f"the gallery {self._folder} is damaged: it should have {self.state.num_items} items but has "
                f"{num_items}; {RESTORE_OR_REPAIR}"
            )

    def copy_to(self, file: Path) -> None:
        """Write the database into an empty file, as it is now, without the space that deleted items left."""
        with _errors_named(self._folder), closing(self._connect_again()) as connection:
            connection.execute("VACUUM INTO ?", (str(file),))

    def close(self) -> None:
        with self._reading:
            self._reader.close()
        self._connection.close()

    def _check_there(self) -> None:
        """Raise `NotWritableError` if the files that writes go to are not where they were.

        Or `GalleryNotFoundError` if that is because the gallery was dropped.
        """
        gone = [file for file, identity in self._written_to.items() if identity_of(file) != identity]
        # While the files are there, the drop may still fail, and then the gallery goes on with what is written now.
        if gone and self.dropped_as is not None:
            raise was_dropped(self.dropped_as)
        if gone or self._is_lost:
            what = f"{gone[0]} was moved, removed or replaced" if gone else "its files were away for a while"
            raise NotWritableError(
                f"the gallery {self._folder} cannot be written, because {what} while it was open, and what is written "
                f"now would be lost; put the folder back, then start the server again."
            )

    def _connect_again(self) -> sqlite3.Connection:
        connection = _connect(self._folder, read_only=True, immutable=self._read_only)
        if self._should_stop is not None:
            connection.set_progress_handler(self._should_stop, _INSTRUCTIONS_PER_QUESTION)
        return connection

    def _checked_motion(self, id: str, row: Sequence[object]) -> bytes:
        if not is_sound_motion(row):
            raise GalleryError(
                f"the gallery {self._folder} is damaged: the motion of item {id!r} is not as it was written; "
                f"{RESTORE_OR_REPAIR}"
            )
        return row[1]  # type: ignore[return-value]

    def _checked(self, found: tuple[object, ...]) -> ItemRow:
        row = read_row(found[:7], self.state.embedding_size)
        if row is None:
            raise GalleryError(
                f"the gallery {self._folder} is damaged: item {found[1]!r} is not as it was written; "
                f"{RESTORE_OR_REPAIR}"
            )
        motion = found[7:]
        return row if not any(motion) else row._replace(motion=self._checked_motion(row.id, motion))

    @contextmanager
    def _sql_transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            # After some failures, for example on a full disk, SQLite has rolled back already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def unfinished_databases(folder: Path) -> list[Path]:
    """What a crash leaves in a gallery's folder while `ItemStore.create` makes the database."""
    before = [folder / name for name in _UNFINISHED_BEFORE]
    return [*unfinished_files(folder / DATABASE_FILE), *filter(Path.exists, before)]


def peek(place: Path, *, alone: bool = False) -> GalleryState:
    """Read what a gallery is, without opening it for use: it may be open elsewhere. Raises `GalleryError`.

    `place` is a gallery's folder or a database file. See `ItemStore.open_for_reading` for `alone`.
    """
    with _errors_named(place), closing(_connect(place, read_only=True, immutable=alone)) as connection:
        return _stored_state(place, connection, _format_version(place, connection))


def _connect(place: Path, *, read_only: bool, immutable: bool = False) -> sqlite3.Connection:
    database = _database(place)
    mode = "mode=ro" if read_only else "mode=rw"
    # In a folder that cannot be written, SQLite cannot make the file that lets readers and writers know of each other.
    immutable |= read_only and not os.access(database.parent, os.W_OK) and not _size_of(Path(f"{database}-wal"))
    address = f"{database.absolute().as_uri()}?{mode}{'&immutable=1' if immutable else ''}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    # What is in the file may not call functions that reach beyond it, and no value is larger than a message.
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    return connection


def _database(place: Path) -> Path:
    return place if place.is_file() else place / DATABASE_FILE


def _prepare(folder: Path, connection: sqlite3.Connection, read_only: bool) -> GalleryState:
    """Set the connection up and convert a database of format 1."""
    version = _format_version(folder, connection)
    if not read_only:
        # With a write-ahead log, FULL means that every commit is on the disk when it returns.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    state = _stored_state(folder, connection, version)
    if version == 1:
        if read_only:
            raise GalleryError(
                f"the gallery {folder} has format 1, which is converted when it is opened, but the folder cannot be "
                f"written; make it writable."
            )
        state = replace(state, uid=uuid.uuid4().hex)
        connection.execute("BEGIN IMMEDIATE")
        run_statements(connection, UPGRADE_FROM_FORMAT_1)
        insert_state(connection, state)
        connection.execute("COMMIT")
    return state


def _format_version(place: Path, connection: sqlite3.Connection) -> int:
    ((application_id,),) = connection.execute("PRAGMA application_id")
    if application_id != APPLICATION_ID:
        raise GalleryError(
            f"{place / DATABASE_FILE} is a database, but not that of a gallery; name another folder, or restore it "
            f"from a snapshot."
        )
    ((version,),) = connection.execute("PRAGMA user_version")
    if version not in range(1, FORMAT_VERSION + 1):
        raise GalleryError(
            f"the gallery {place} has format {version}; this release reads formats 1 to {FORMAT_VERSION}: use the "
            f"release that wrote it, or fill a new gallery."
        )
    # Before anything else is asked of it: nothing that a gallery does not have may influence the answers.
    if (unexpected := unexpected_part(connection, version)) is not None:
        raise GalleryError(
            f"{place} is damaged, or not made by gfp-serve: {unexpected}; restore it from a snapshot, or keep the "
            f"items of a folder with `gfp gallery repair`."
        )
    return int(version)


def _stored_state(place: Path, connection: sqlite3.Connection, version: int) -> GalleryState:
    rows = connection.execute("SELECT * FROM gallery").fetchall()
    state = read_state(rows[0]) if len(rows) == 1 else None
    if state is None or (version > 1, version > 2) != (bool(state.uid), state.num_motions is not None):
        raise GalleryError(
            f"the gallery {place} is damaged: the row that says what it is was altered; {RESTORE_OR_REPAIR}"
        )
    return state


def _size_of_database(connection: sqlite3.Connection) -> int:
    """The bytes of all pages. SQLite refuses a database that says of itself that it has more than there are."""
    ((num_pages,),) = connection.execute("PRAGMA page_count")
    ((page_bytes,),) = connection.execute("PRAGMA page_size")
    return int(num_pages * page_bytes)


def _size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


@contextmanager
def _errors_named(place: Path) -> Iterator[None]:
    """Turn SQLite's errors in the `with` block into a `GalleryError` that names the gallery."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise GalleryError(
            f"the gallery {place} cannot be read ({error}); check the folder's permissions and the disk's free space, "
            f"restore it from a snapshot if it is damaged, or name another folder."
        ) from error
