"""Movements that are compared and counted: of a sequence, or of an item whose motion its gallery keeps."""

from gfp_serve.batching.turns import Turns, Work
from gfp_serve.compare import Comparison, comparing
from gfp_serve.config import Limits
from gfp_serve.errors import in_field
from gfp_serve.gallery.protocols import Galleries
from gfp_serve.kept_motion import KeptMotion
from gfp_serve.movement import Movement, movement_of_kept
from gfp_serve.repetitions import RepetitionCounter, counting, num_compared
from gfp_serve.service.finding import ask_gallery
from gfp_serve.v1 import view_pb2
from gfp_serve.wire.views import content_of, read_movement, write_comparison, write_count

# In neighbours that are found meanwhile, each of which takes about 14 µs: to align two motions of 300 frames took
# 0.38 s, and to count in a frame, with a wanted movement of 270 of them, 1.1 ms.
_COST_OF_COMPARING, _COST_OF_A_FRAME = 27_000, 80


class Movements:
    """Answers what is asked about movements, in `turns`; reading an item takes a turn among the `searches`."""

    def __init__(self, galleries: Galleries, limits: Limits, turns: Turns, searches: Turns) -> None:
        self._galleries = galleries
        self._limits = limits
        self._turns = turns
        self._searches = searches

    async def compare(self, request: view_pb2.CompareRequest, caller: str) -> view_pb2.CompareResponse:
        """The reply to Compare."""
        replies: list[view_pb2.CompareResponse] = []
        with self._turns.admit(_COST_OF_COMPARING):
            kept = {
                field: await self._kept(getattr(request, field), field, request.gallery, caller)
                for field in ("motion", "wanted")
            }

            def work() -> Work:
                movements = []
                for field, motion in kept.items():
                    movements.append(self._movement(getattr(request, field), field, motion))
                    yield
                found: list[Comparison] = []
                yield from comparing(movements[0], movements[1], found)
                replies.append(write_comparison(found[0]))

            await self._turns.run(work(), caller=caller)
        return replies[0]

    async def count(self, request: view_pb2.CountRepetitionsRequest, caller: str) -> view_pb2.CountRepetitionsResponse:
        """The reply to CountRepetitions."""
        replies: list[view_pb2.CountRepetitionsResponse] = []
        num_frames = max(num_compared(request.sequence.num_frames, request.sequence.fps), 1)
        with self._turns.admit(_COST_OF_A_FRAME * num_frames):
            kept = await self._kept(request.wanted, "wanted", request.gallery, caller)

            def work() -> Work:
                with in_field("sequence"):
                    recording = read_movement(request.sequence, self._limits)
                yield
                counter = RepetitionCounter(self._movement(request.wanted, "wanted", kept), with_curve=True)
                yield from counting(counter, recording)
                replies.append(write_count(counter))

            await self._turns.run(work(), caller=caller)
        return replies[0]

    async def counter_of(self, id: str, gallery: str, caller: str) -> RepetitionCounter:
        """A counter of the movement of an item. Raises `InvalidRequestError` for one that cannot be counted."""
        return RepetitionCounter(await self.of_item(id, gallery, caller))

    async def of_item(self, id: str, gallery: str, caller: str) -> Movement:
        """The movement of an item. Raises `ItemNotFoundError`, and `InvalidRequestError` if no motion of it is kept."""
        found = await ask_gallery(self._galleries, gallery, self._searches, caller=caller)
        motions: list[KeptMotion | None] = []

        def read() -> Work:
            motions.extend(item.motion for item in found.get_with_motions([id]))
            yield

        await self._searches.run(read(), caller=caller)
        return movement_of_kept(motions[0], id)

    async def _kept(self, shown: view_pb2.Shown, field: str, gallery: str, caller: str) -> Movement | None:
        """The movement of the item that is named; None for a sequence."""
        with in_field(field):
            return None if content_of(shown) == "sequence" else await self.of_item(shown.id, gallery, caller)

    def _movement(self, shown: view_pb2.Shown, field: str, kept: Movement | None) -> Movement:
        if kept is not None:
            return kept
        with in_field(f"{field}.sequence"):
            return read_movement(shown.sequence, self._limits)
