"""Places for calls that need no token, such as health: nobody can hold them all."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gfp_serve.errors import OverloadedError

# Of the places for calls that stay open, the most that one address and one connection may hold.
_SHARE_OF_ADDRESS, _SHARE_OF_CONNECTION = 1 / 2, 1 / 8


class OpenPlaces:
    """A bounded number of places for calls that wait for their callers, and as many for calls that stay open.

    A peer is gRPC's, e.g. "ipv4:192.0.2.1:50123": an address and the port of its connection. With `one_peer`, all
    calls come through a proxy, whose address and connections say nothing about callers and have no share.
    """

    def __init__(self, num_places: int, *, one_peer: bool = False) -> None:
        self.num_places = num_places
        self._of_address = num_places if one_peer else num_places * _SHARE_OF_ADDRESS
        self._of_connection = num_places if one_peer else num_places * _SHARE_OF_CONNECTION
        self._waiting: dict[asyncio.Task[Any], str] = {}  # the peer of each call, the oldest first
        self._staying: Counter[str] = Counter()  # calls of each peer

    @contextmanager
    def while_waiting(self, peer: str) -> Iterator[None]:
        """A place for the current task while it waits for its caller: for a request, or to be told something.

        When all places are taken, the newest caller gets one and the greediest gives one up: the address with the most
        places, of it the connection with the most, and of that the oldest call. Its block ends with `OverloadedError`.
        A caller that sends or takes nothing can only lose its own calls.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a place is for a task")
        if len(self._waiting) >= self.num_places:
            self._free_one()
        self._waiting[task] = peer
        try:
            yield
        except asyncio.CancelledError:
            if task in self._waiting:  # the caller left
                raise
            task.uncancel()
            raise OverloadedError(
                f"{self.num_places} calls wait for their callers, and another caller needed this place; send the "
                f"request with the call.",
                retry_after_s=1.0,
            ) from None
        finally:
            self._waiting.pop(task, None)

    @contextmanager
    def while_open(self, peer: str) -> Iterator[None]:
        """A place for a call that stays open, such as a watch of health.

        Raises `OverloadedError` when all are taken, or the peer's address or connection has its share of them. (Such a
        call cannot give up its place: gRPC ends none while it writes a reply, which lasts until the caller reads.)
        """
        of_address = sum(count for other, count in self._staying.items() if _address(other) == _address(peer))
        for what, taken, most in (
            ("this connection", self._staying[peer], self._of_connection),
            ("this address", of_address, self._of_address),
            ("all callers together", self._staying.total(), self.num_places),
        ):
            if taken >= most:
                raise OverloadedError(
                    f"{what} may hold {most:.0f} calls of this kind open; end one, or call Check now and then "
                    f"instead of Watch.",
                    retry_after_s=1.0,
                )
        self._staying[peer] += 1
        try:
            yield
        finally:
            self._staying[peer] -= 1
            if not self._staying[peer]:
                del self._staying[peer]

    def _free_one(self) -> None:
        address, _ = Counter(map(_address, self._waiting.values())).most_common(1)[0]
        of_address = Counter(peer for peer in self._waiting.values() if _address(peer) == address)
        greediest, _ = of_address.most_common(1)[0]
        oldest = next(task for task, peer in self._waiting.items() if peer == greediest)
        del self._waiting[oldest]
        oldest.cancel()


def _address(peer: str) -> str:
    """The peer without its port."""
    return peer.rpartition(":")[0]
