"""One wrong byte anywhere in a gallery's files: the gallery must answer correctly or refuse, but never be wrong."""

import logging
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from gfp_serve.errors import GalleryError, ItemNotFoundError
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Effort, IndexKind, Item
from tests.proving.changes import MOST_ITEMS, SIZE, Change, Oracle, draw_change, id_of

DIGEST = "5e" * 32
NUM_WRITERS, LOG = 2, "gallery.sqlite-wal"


class Damaged:
    """A gallery with derived files and later changes, in copies of which single bytes are altered."""

    def __init__(self, folder: Path, *, index_kind: IndexKind, num_places: int, seed: int = 0) -> None:
        self._draw = np.random.default_rng(seed)
        self._sound, self._copy = folder / "sound", folder / "damaged"
        self._logged = folder / "logged"  # the same gallery before it was closed: the last changes are in the log
        # What it contained after each of the last changes, by generation, because a log may lose its end.
        self._oracles: dict[int, Oracle] = {}
        emptied(folder)
        with FaissGallery.create(
            self._sound, encoder_digest=DIGEST, embedding_size=SIZE, index_kind=index_kind
        ) as gallery:
            self._fill(gallery, num_places)
        with FaissGallery.open(self._sound) as gallery:
            for _ in range(20):
                self._change(gallery, num_places)
            shutil.copytree(self._sound, self._logged)
        self._oracle = self._oracles[max(self._oracles)]

    def files(self) -> list[Path]:
        """All files that can be damaged, relative to the folder."""
        return sorted(
            file.relative_to(self._sound) for file in self._sound.rglob("*") if file.is_file() and file.stat().st_size
        )

    def counts(self, file: Path, places: int) -> dict[str, int]:
        """Alter this many bytes of the file, one at a time; how often the gallery was right, refused, or wrong.

        Of the log, SQLite takes a damaged end for one that was never written: the gallery may be whole and earlier.
        """
        sound = self._logged if file.name == LOG else self._sound
        content = (sound / file).read_bytes()
        # Half of the places are not zero, because zeros are mostly free space.
        used = [*np.flatnonzero(np.frombuffer(content, dtype=np.uint8)).tolist()]
        found: Counter[str] = Counter({"bytes altered": places, "wrong": 0})
        for number in range(places):
            place = int(self._draw.choice(used) if number % 2 else self._draw.integers(len(content)))
            shutil.rmtree(self._copy, ignore_errors=True)
            shutil.copytree(sound, self._copy)
            altered = bytearray(content)
            altered[place] ^= int(self._draw.integers(1, 256))
            (self._copy / file).write_bytes(altered)
            outcome = self._outcome()
            if outcome not in ("right", "refused") and not (outcome == "earlier" and file.name == LOG):
                print(f"{file}, byte {place} from {content[place]:#04x} to {altered[place]:#04x}: {outcome}")
                outcome = "wrong"
            found[outcome] += 1
            if outcome != "refused" and file.parts[0].startswith("derived."):
                found["right, and made again"] += not (self._copy / file).exists()
        return dict(found)

    def _outcome(self) -> str:
        try:
            with FaissGallery.open(self._copy) as gallery:
                oracle = self._oracles.get(gallery.generation)
                if oracle is None:
                    return f"generation {gallery.generation}"
                wrong = self._wrong_with(gallery, oracle)
                return wrong or ("right" if oracle is self._oracle else "earlier")
        except GalleryError:
            return "refused"
        except Exception as error:  # an error that does not name the damage is not a refusal
            return f"{error!r}"

    def _wrong_with(self, gallery: FaissGallery, oracle: Oracle) -> str:
        """What is wrong with any answer of the gallery; "" if nothing is."""
        there = oracle.ids()
        queries = np.concatenate([oracle.vectors[0, :4], self._draw.standard_normal((4, SIZE)).astype(np.float32)])
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        for effort in (Effort(exact=True), Effort()):
            for query, found in zip(queries, gallery.search(queries, top_k=10, effort=effort), strict=True):
                wrong, missing = oracle.compare(query, found, 10)
                if wrong or (missing and effort.exact):
                    return f"{wrong} neighbours wrong, {missing} missing"
        if len(gallery) != len(there) or sum(gallery.label_counts().values()) != len(there):
            return f"{len(gallery)} items instead of {len(there)}"
        ids = sorted(there)
        if [item.id for item in gallery.get(ids)] != ids or not all(map(oracle.is_right, gallery.get(ids[:50]))):
            return "get returns another item than that with the id"
        for writer, place in np.argwhere(oracle.numbers == 0)[:20].tolist():
            try:
                gallery.get([id_of(writer, place)])
                return "get returns an item that is not there"
            except ItemNotFoundError:
                pass
        items = {item.id: item for item in gallery.items()}
        if items.keys() != there or not all(map(oracle.is_right, items.values())):
            return "items returns other items"
        # An upsert replaces an item that exists already; it must not be there twice.
        gallery.upsert([Item(id, np.ones(SIZE, dtype=np.float32)) for id in ids])
        return "" if len(gallery) == len(there) else "an item is there twice"

    def _fill(self, gallery: FaissGallery, num_places: int) -> None:
        self._oracles[0] = Oracle(NUM_WRITERS, num_places)
        for writer in range(NUM_WRITERS):
            for start in range(0, num_places, MOST_ITEMS):
                count = min(MOST_ITEMS, num_places - start)
                self._make(gallery, Change(writer, len(self._oracles), True, start, count))
                if len(self._oracles) == 2:  # before the index is made, so that the derived files contain removed rows
                    self._make(gallery, Change(writer, 2, False, 0, 10))
        gallery.settle()

    def _change(self, gallery: FaissGallery, num_places: int) -> None:
        number = len(self._oracles)
        self._make(gallery, draw_change(self._draw, number % NUM_WRITERS, number, num_places))

    def _make(self, gallery: FaissGallery, change: Change) -> None:
        before = self._oracles[max(self._oracles)]
        after = Oracle(*before.numbers.shape)
        after.numbers[:], after.vectors[:] = before.numbers, before.vectors
        after.apply(change)
        change.make(gallery)
        self._oracles[gallery.generation] = after


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def run(
    folder: Path, places: int, *, index_kind: IndexKind = "hnsw", num_places: int = 5000
) -> dict[str, dict[str, int]]:
    """Alter this many bytes of each derived file, and ten times as many of the database; return counts by file."""
    logging.disable(logging.WARNING)  # every copy would warn that files are made again
    damaged = Damaged(folder, index_kind=index_kind, num_places=num_places)
    counts = {}
    for file in [*damaged.files(), Path(LOG)]:
        name = "derived/" + file.name if file.parts[0].startswith("derived.") else file.name
        counts[name] = damaged.counts(file, places * 10 if file.name == "gallery.sqlite" else places)
        print(name, counts[name])
    return counts
