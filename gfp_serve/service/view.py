"""ViewService of the wire: what a page asks for to show motion."""

from collections import Counter

from gfp_serve.batching.turns import Turns, Work
from gfp_serve.config import Limits
from gfp_serve.gallery.protocols import Galleries
from gfp_serve.items import DEFAULT_GALLERY
from gfp_serve.service.access import caller_of
from gfp_serve.service.finding import ask_gallery
from gfp_serve.service.item_maps import MAX_ITEMS, ItemMaps
from gfp_serve.service.movements import Movements
from gfp_serve.service.reply_budget import PART_BYTES, ReplyBudget, ReplyParts
from gfp_serve.service.sent_files import SentFiles
from gfp_serve.v1 import view_pb2, view_pb2_grpc
from gfp_serve.wire.items import write_struct
from gfp_serve.wire.searches import read_filter

# A page offers these to choose from.
_MAX_ATTRIBUTE_NAMES = 50
# In a gallery where each item has names of its own, those that come later are not counted.
_MAX_COUNTED_NAMES = 10_000
# Items that become bytes at a time.
_ITEMS_AT_ONCE = 256


class ViewServicer(view_pb2_grpc.ViewServiceServicer):
    """What is long takes turns in `searches`, as searches do."""

    def __init__(
        self, galleries: Galleries, movements: Movements, limits: Limits, searches: Turns, files: SentFiles
    ) -> None:
        self._galleries = galleries
        self._movements = movements
        self._limits = limits
        self._searches = searches
        self._maps = ItemMaps(searches)
        self._files = files

    async def close(self) -> None:
        """End what goes on in the background."""
        await self._maps.close()

    async def MapItems(self, request: view_pb2.MapItemsRequest, context: object) -> bytes:
        where = read_filter(request.filter)
        caller = caller_of(context)
        gallery = await ask_gallery(self._galleries, request.gallery, self._searches, caller=caller)
        budget = ReplyBudget(self._limits, "ask for fewer items by a filter")
        items: list[view_pb2.MapItem] = []
        told, reply = view_pb2.MapItemsResponse(), ReplyParts()
        names: Counter[str] = Counter()

        shown = await self._maps.map_of(request.gallery or DEFAULT_GALLERY, gallery, caller=caller)
        # Asked now: a better map may be ready before this reply is, and the caller must still come back for it.
        told.is_improving = self._maps.is_improving(shown)

        def read() -> Work:
            sample = gallery.sample(MAX_ITEMS)
            told.num_items = sample.num_items
            attribute_bytes = 0
            for piece in sample.pieces:
                for item in piece:
                    # What came a moment ago has no place yet.
                    row = shown.rows.get(item.id)
                    if row is None:
                        continue
                    told.num_mapped += 1
                    names.update(name for name in item.attributes if name in names or len(names) < _MAX_COUNTED_NAMES)
                    if where is not None and not where.passes(item.label, item.attributes):
                        continue
                    x, y = shown.places[row].tolist()
                    message = budget.fit(view_pb2.MapItem(id=item.id, label=item.label, x=x, y=y))
                    items.append(message)
                    if not told.attributes_left_out:
                        message.attributes.CopyFrom(write_struct(item.attributes))
                        attribute_bytes += message.attributes.ByteSize() + PART_BYTES
                        told.attributes_left_out = not budget.has_room(attribute_bytes)
                yield
            for name, _ in names.most_common(_MAX_ATTRIBUTE_NAMES):
                # A filter would not make them fewer, so those that have no room are left out.
                if budget.has_room(num_bytes := len(name.encode()) + PART_BYTES):
                    budget.spend(num_bytes)
                    told.attributes.append(name)
            told.attributes.sort()
            told.attributes_left_out = told.attributes_left_out or not budget.has_room(attribute_bytes)
            for each in items if told.attributes_left_out else ():
                each.ClearField("attributes")
            for start in range(0, len(items), _ITEMS_AT_ONCE):
                reply.add(view_pb2.MapItemsResponse(items=items[start : start + _ITEMS_AT_ONCE]))
                yield

        # To read an item, and to send it, takes as long as to find it. Who waits for a map takes no room.
        with self._searches.admit(2 * len(shown.rows)):
            await self._searches.run(read(), caller=caller)
        told.projection, told.generation = shown.projection, shown.generation
        reply.add(told)
        return reply.joined()

    async def ReadFile(self, request: view_pb2.ReadFileRequest, _context: object) -> bytes:
        return await self._files.read(request)

    async def Compare(self, request: view_pb2.CompareRequest, context: object) -> view_pb2.CompareResponse:
        return await self._movements.compare(request, caller_of(context))

    async def CountRepetitions(
        self, request: view_pb2.CountRepetitionsRequest, context: object
    ) -> view_pb2.CountRepetitionsResponse:
        return await self._movements.count(request, caller_of(context))
