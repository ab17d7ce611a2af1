"""Places that callers share: however many some of them take, one is left for the next."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gfp_serve.config import is_loopback
from gfp_serve.errors import OverloadedError
from gfp_serve.service.access import CALLER


class Shares:
    """`num_places` places. A caller may hold as many as it leaves free of those that nobody else holds, or one.

    So one caller holds half of them at most; beside that one, another holds a quarter. This is the rule of dynamic
    thresholds, by which switches share a buffer between ports (Choudhury and Hahne, 1998), with the factor 1.

    A caller is the holder of a token. On a server without tokens it is a connection, and all connections of one other
    machine are a caller too. With `one_peer`, they come through a proxy and say nothing about callers.

    `what` says in errors what has the places, and `setting` which option gives more.
    """

    def __init__(self, num_places: int, *, what: str, setting: str, one_peer: bool = False) -> None:
        self.num_places = num_places
        self.num_taken = 0
        self._what, self._setting = what, setting
        self._one_peer = one_peer
        self._held: Counter[str] = Counter()

    @contextmanager
    def place(self, context: Any) -> Iterator[None]:
        """A place for the caller of gRPC's `context`. Raises `OverloadedError` at once if there is none for it."""
        callers = self._callers(context)
        self._check(callers)
        self.num_taken += 1
        self._held.update(callers.keys())
        try:
            yield
        finally:
            self.num_taken -= 1
            for caller in callers:
                self._held[caller] -= 1
                if not self._held[caller]:
                    del self._held[caller]

    def _check(self, callers: dict[str, str]) -> None:
        if self.num_taken >= self.num_places:
            raise OverloadedError(
                f"the server has {self.num_places} {self._what} and takes no more; try again in a second, or raise "
                f"{self._setting}.",
                retry_after_s=1.0,
            )
        for caller, name in callers.items():
            held = self._held[caller]
            free_of_others = self.num_places - (self.num_taken - held)
            if held and held >= free_of_others // 2:
                raise OverloadedError(
                    f"{name} has {held} {self._what}, and leaves the other places of {self.num_places} to others; wait "
                    f"until one ends, or raise {self._setting}.",
                    retry_after_s=1.0,
                )

    def _callers(self, context: Any) -> dict[str, str]:
        """Whose places count, each with what errors call it."""
        if (identity := CALLER.get()) is not None:
            return {identity: "this token"}
        if self._one_peer:
            return {}
        peer = context.peer()
        address = peer.rpartition(":")[0]
        # Programs of this machine have one address.
        host = address.partition(":")[2].replace("%5B", "[").replace("%5D", "]")
        own = {peer: "this connection"}
        return own if not host or is_loopback(host) else {**own, address: "this address"}
