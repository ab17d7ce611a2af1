"""The maps of galleries: one of each, made when it is asked for, kept until its gallery changes, and made better."""

import asyncio
import logging
import time
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from gfp_serve.batching.turns import Turns, Work
from gfp_serve.cores import num_cores
from gfp_serve.errors import GfpError, NotWritableError
from gfp_serve.gallery.protocols import Gallery, empty_gallery
from gfp_serve.item_map import FEWEST_FOR_TSNE, GIVEN, MADE, Places, among_known, by_components, has_tsne
from gfp_serve.own_process import Bounds, OwnProcessError, folder_of_its_own, in_thread, run

_log = logging.getLogger(__name__)

# A map has at most this many items. t-SNE takes minutes for them, and a page draws them at once.
MAX_ITEMS = 20_000
# How many galleries have a map in memory: 6 MB each, if they are large.
_MAPS = 16

# A gallery that changes all the time gets a better map once in this time, or in twice the time that the last one took.
_EACH_S = 60.0
# By t-SNE, 20,000 items took 155 s of one core, beside other work; their components 0.4 s.
_LOOK_S = 2.0  # how often it is looked whether a better map is still wanted
_MINUTES = Bounds(seconds=900.0, memory_bytes=2**32, file_bytes=2**24)
_FEW_SECONDS = Bounds(seconds=60.0, memory_bytes=2**32, file_bytes=2**24)

Projection = Literal["PCA", "t-SNE"]


@dataclass(frozen=True, slots=True, eq=False)
class ItemMap:
    """Where items are in the plane: row `rows[id]` of `places`, from -1 to 1."""

    gallery: "weakref.ref[Gallery]"
    generation: int
    rows: dict[str, int]
    components: Float32[np.ndarray, "num_items num_components"]
    places: Places
    projection: Projection


class ItemMaps:
    """Makes maps of at most `MAX_ITEMS` items in turns with searches, and better ones in the background.

    A map is made by PCA at once. If scikit-learn is installed, a process of its own makes one by t-SNE then, one at a
    time. After a change of the gallery, items keep their places and new ones come beside those that are like them,
    until t-SNE has been through it again.
    """

    def __init__(self, searches: Turns) -> None:
        self._searches = searches
        self._maps: OrderedDict[str, ItemMap] = OrderedDict()
        # Who waits for a map that somebody else makes.
        self._making: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        # The maps that wait for t-SNE, by gallery, the one that it is making, and from when on it may make each.
        self._waiting: OrderedDict[str, ItemMap] = OrderedDict()
        self._improving: ItemMap | None = None
        self._not_before: dict[str, float] = {}
        self._worker: asyncio.Task[None] | None = None
        self._has_tsne = has_tsne()
        self._one_at_a_time = asyncio.Lock()

    async def map_of(self, name: str, gallery: Gallery, *, caller: str) -> ItemMap:
        """The map of the gallery of this name as it is now. Raises `EmptyGalleryError`, and what the gallery does."""
        lock = self._making.setdefault(name, asyncio.Lock())
        async with lock:
            generation = await self._searches.do(lambda: gallery.generation, caller=caller)
            known = self._maps.get(name)
            if known is not None and known.gallery() is not gallery:
                known = None
            if known is None or known.generation != generation:
                known = await self._made(gallery, known, caller)
                self._keep(name, known)
                self._improve_later(name, known)
            self._maps.move_to_end(name)
            return known

    def is_improving(self, shown: ItemMap) -> bool:
        """Whether t-SNE is making this map, or will."""
        return shown is self._improving or shown in self._waiting.values()

    async def close(self) -> None:
        """End what is being made."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])

    async def _made(self, gallery: Gallery, before: ItemMap | None, caller: str) -> ItemMap:
        ids: list[str] = []
        read: list[tuple[int, Float32[np.ndarray, "_ size"]]] = []

        def reading() -> Work:
            sample = gallery.sample(MAX_ITEMS)
            vectors = np.empty((min(sample.num_items, MAX_ITEMS), gallery.embedding_size), dtype=np.float32)
            for piece in sample.pieces:
                # In Milvus, others may add and remove items meanwhile.
                items = piece[: len(vectors) - len(ids)]
                vectors[len(ids) : len(ids) + len(items)] = [item.vector for item in items]
                ids.extend(item.id for item in items)
                yield
            read.append((sample.generation, vectors[: len(ids)]))

        num_items = await self._searches.do(lambda: len(gallery), caller=caller)
        # One at a time from the reading on, so that memory holds the vectors of one gallery.
        async with self._one_at_a_time:
            with self._searches.admit(max(1, min(num_items, MAX_ITEMS))):
                await self._searches.run(reading(), caller=caller)
            if not ids:
                raise empty_gallery()
            generation, vectors = read.pop()
            try:
                found = await _in_own_process(_FEW_SECONDS, is_low=False, vectors=vectors)
            except OwnProcessError as error:
                raise NotWritableError(
                    f"no map could be made: {error.message}; the server's log may say more."
                ) from error
            del vectors
        rows = {id: row for row, id in enumerate(ids)}
        made = [ItemMap(weakref.ref(gallery), generation, rows, found, by_components(found), "PCA")]
        if before is not None:
            await self._searches.run(_as_before(made[0], before, made), caller=caller)
        return made[-1]

    def _keep(self, name: str, made: ItemMap) -> None:
        self._maps[name] = made
        if len(self._maps) > _MAPS:
            forgotten, _ = self._maps.popitem(last=False)
            self._waiting.pop(forgotten, None)
            self._not_before.pop(forgotten, None)

    def _improve_later(self, name: str, made: ItemMap) -> None:
        if not self._has_tsne or len(made.rows) < FEWEST_FOR_TSNE:
            return
        self._waiting[name] = made
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._improve(), name="maps")

    async def _improve(self) -> None:
        while self._waiting:
            name = min(self._waiting, key=lambda name: self._not_before.get(name, 0.0))
            wait_s = self._not_before.get(name, 0.0) - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(min(wait_s, 1.0))  # another one may come that need not wait
                continue
            old = self._improving = self._waiting.pop(name)
            started = time.monotonic()
            try:
                if not await self._is_open(old.gallery()):
                    continue
                better = await self._improved_while_wanted(name, old)
                if better is not None:
                    await self._show(name, old, better)
            except OwnProcessError as error:
                _log.warning("the map of the gallery %s stays as it is, because t-SNE failed: %s", name, error)
            finally:
                self._improving = None
            took_s = time.monotonic() - started
            if name in self._maps:  # not forgotten meanwhile
                self._not_before[name] = time.monotonic() + max(_EACH_S - took_s, took_s)

    async def _is_open(self, gallery: Gallery | None) -> bool:
        """Whether the gallery is still there, so that somebody can ask for its map."""
        if gallery is None:
            return False
        try:
            await self._searches.do(lambda: len(gallery), caller="maps")
        except GfpError:  # it was dropped, or closed
            return False
        return True

    async def _improved_while_wanted(self, name: str, old: ItemMap) -> ItemMap | None:
        """The better map; None, and its process has ended, if nobody would see it any more: others wait for it."""
        improving = asyncio.create_task(self._improved(old), name="t-SNE")
        try:
            while not (await asyncio.wait([improving], timeout=_LOOK_S))[0]:
                if not self._would_show(name, old) or not await self._is_open(old.gallery()):
                    return None
            return await improving
        finally:
            improving.cancel()
            await asyncio.gather(improving, return_exceptions=True)

    def _would_show(self, name: str, old: ItemMap) -> bool:
        """Whether what becomes of this map would have a place: the gallery has it still, or enough of its items."""
        now = self._maps.get(name)
        return now is old or (now is not None and now.gallery() is old.gallery() and _has_half(now, old))

    async def _improved(self, old: ItemMap) -> ItemMap:
        num_threads = max(1, num_cores() // 2)
        given = {"components": old.components, "start": old.places}
        places = await _in_own_process(_MINUTES, is_low=True, num_threads=num_threads, **given)
        return ItemMap(old.gallery, old.generation, old.rows, old.components, places, "t-SNE")

    async def _show(self, name: str, old: ItemMap, better: ItemMap) -> None:
        now = self._maps.get(name)
        if now is old:
            self._maps[name] = better
        elif now is not None and now.gallery() is better.gallery():
            # The gallery has changed since: its items come to the better places too.
            made: list[ItemMap] = []
            await self._searches.run(_as_before(now, better, made), caller="maps")
            if made and self._maps.get(name) is now:
                self._maps[name] = made[-1]
                if name in self._waiting:
                    self._waiting[name] = made[-1]


def _as_before(new: ItemMap, before: ItemMap, made: list[ItemMap]) -> Work:
    """Add `new` with the places of `before`, if that is by t-SNE and has half of the items or more."""
    if before.projection != "t-SNE" or not _has_half(new, before):
        return
    yield
    olds = np.array([before.rows.get(id, -1) for id in new.rows])
    is_known = olds >= 0
    places = yield from among_known(new.components, is_known, before.places[olds])
    made.append(ItemMap(new.gallery, new.generation, new.rows, new.components, places, "t-SNE"))


def _has_half(new: ItemMap, before: ItemMap) -> bool:
    """Whether half of the items of a map or more are in the one before."""
    return 2 * len(new.rows.keys() & before.rows.keys()) >= len(new.rows)


async def _in_own_process(
    bounds: Bounds, *, is_low: bool, num_threads: int = 1, **given: np.ndarray
) -> Float32[np.ndarray, "num_items _"]:
    """What `item_map` makes of the arrays. Raises `OwnProcessError`."""
    try:
        with folder_of_its_own() as folder:
            await in_thread(lambda: np.savez(folder / GIVEN, allow_pickle=False, **given))
            await run("gfp_serve.item_map", folder, bounds, is_low=is_low, num_threads=num_threads)
            made: Float32[np.ndarray, "num_items _"] = await asyncio.to_thread(np.load, folder / MADE)
    except OSError as error:
        raise OwnProcessError(f"temporary files cannot be written ({error.strerror})") from error
    if not np.isfinite(made).all():
        raise OwnProcessError("it gave places that cannot be")
    return made
