"""What an attack is: what it does, for how long, what it may cost others, and what its attackers were told."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc

from benchmarks.attacks.scene import Scene, Target

MOST_FAULTS = 10
# For channels of attackers: each has a connection of its own, takes replies of any size, and says what it was told.
OWN_CONNECTION = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The most that an attack may cost; None is no bound. Server, attackers and honest callers share two cores."""

    memory_mb: float | None = 300  # above what the server had before
    stays: float | None = 0.2  # the part of memory that may be left after a minute, above what the server had before
    health_p99_ms: float | None = 250  # a load balancer waits for a second or more
    search_p99_ms: float | None = 1000  # of a light search
    failures: float | None = 0.0  # the part of the honest calls, without those of new connections, that may fail
    new_connections: float | None = 0.0  # the part of honest calls over new connections that may fail


class Stop(Protocol):
    """A `threading.Event`, or one between processes."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


@dataclass
class Tally:
    """What attackers got. Several threads may use it."""

    got: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.got[what] += number

    def fault(self, note: str) -> None:
        """Note something that is wrong whatever the machine's speed, e.g. an attack that was let through."""
        with self._lock:
            if len(self.faults) < MOST_FAULTS:
                self.faults.append(note)

    def as_json(self) -> dict[str, Any]:
        return {"got": dict(self.got), "faults": self.faults, "facts": self.facts}


# For each kind of honest call: how many seconds after a moment (monotonic) the first one was answered that ended later.
FirstAnswers = Callable[[float], dict[str, float]]
# Makes ready what an attack needs, before anything is measured; `Run` gets it.
Prepare = Callable[[Target], Any]
Run = Callable[[Target, Any, Stop, Tally], None]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One kind of attack. `prepare` and `run` have a process of their own; `run` ends soon after it is told to."""

    does: str  # in a few words, for the table
    run: Run
    bounds: Bounds = Bounds()
    seconds: float = 15.0
    prepare: Prepare | None = None
    by_operator: Callable[[Scene, FirstAnswers, Tally], None] | None = (
        None  # what happens to the server itself, meanwhile
    )
    afterwards: Callable[[Scene, Tally], None] | None = None  # after the server has ended
    options: tuple[object, ...] = ()  # of gfp-serve
    files: int | None = None  # the most files that the system lets the server open
    beside_others: bool = True  # whether it has a place in the soak


def code_of(call: Callable[[], object]) -> str:
    """The name of the status with which a call of gRPC ends."""
    try:
        call()
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def in_threads(number: int, work: Callable[[int], None]) -> None:
    """Run `work(0)` to `work(number - 1)` at the same time; return when all have ended."""
    threads = [threading.Thread(target=work, args=(each,), daemon=True) for each in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
