"""The processes beside a server: honest callers, and the attackers of one kind."""

import multiprocessing
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.attacks.every import ATTACKS
from benchmarks.attacks.honest import Record, call_honestly
from benchmarks.attacks.kinds import Stop, Tally
from benchmarks.attacks.scene import Scene, Target

CONTEXT = multiprocessing.get_context("spawn")  # gRPC must not be forked
LEAVE_S = 60.0  # attackers must have ended after this time


class Honesty:
    """The process of the honest callers, and what they reported so far."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.records: list[Record] = []
        self.answers: dict[str, int] = {}
        self.notes: list[str] = []
        self._checked: dict[str, int] | None = None
        self._news = threading.Condition()
        self._pipe, theirs = CONTEXT.Pipe()
        given = (scene.target.address, scene.honest, scene.work, theirs, seed)
        self._process = CONTEXT.Process(target=call_honestly, args=given, daemon=True)
        self._process.start()
        theirs.close()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def check(self) -> dict[str, int]:
        """Let them compare all that they wrote with the server; what they counted."""
        with self._news:
            self._checked = None
            self._pipe.send("check")
            if not self._news.wait_for(lambda: self._checked is not None, 300) or self._checked is None:
                raise RuntimeError("the honest callers did not finish comparing what they wrote within 300 s")
            return self._checked

    def stop(self) -> None:
        if self._process.is_alive():
            self._pipe.send("stop")
        self._process.join(60)
        self._thread.join(10)
        if self._process.exitcode != 0:
            raise RuntimeError(f"the honest callers ended with {self._process.exitcode}; their output above says why")

    def wait_for_work(self) -> None:
        """Wait until each kind of call was answered once, so that what is measured has begun."""
        with self._news:
            if not self._news.wait_for(lambda: len({each[1] for each in self.records if each[3] == "OK"}) == 5, 120):
                raise RuntimeError("no honest caller was answered within two minutes")

    def between(self, start: float, end: float) -> list[Record]:
        return [record for record in self.records if start <= record[0] <= end]

    def first_answers(self, since: float) -> dict[str, float]:
        """For each kind of call: seconds from this moment to its first answer."""
        answered: dict[str, float] = {}
        for ended, what, _seconds, result in list(self.records):
            if ended > since and result == "OK":
                answered.setdefault(what, ended - since)
        return answered

    def wrong(self) -> list[str]:
        return [f"{name}: {number}" for name, number in self.answers.items() if name.startswith("wrong")]

    def _listen(self) -> None:
        while True:
            try:
                what, content = self._pipe.recv()
            except (EOFError, OSError):
                return
            with self._news:
                if what == "calls":
                    self.records += content
                elif what == "checked":
                    self._checked = content
                else:
                    self.answers, self.notes = content
                self._news.notify_all()


def attack_in_process(name: str, target: Target, stop: Stop, pipe: Connection) -> None:
    """What a process of attackers does: it makes ready, waits for a word, attacks, and says what it got."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    attack, tally = ATTACKS[name], Tally()
    prepared = attack.prepare(target) if attack.prepare is not None else None
    pipe.send("ready")
    pipe.recv()
    attack.run(target, prepared, stop, tally)
    pipe.send(tally.as_json())


class Attackers:
    """The process of one attack. It has made ready when this has been made, and attacks after `begin`."""

    def __init__(self, name: str, target: Target) -> None:
        self._stop = CONTEXT.Event()
        self._pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=attack_in_process, args=(name, target, self._stop, theirs), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"{name} could not be made ready; the output above says why") from None
        except KeyboardInterrupt:
            self._process.kill()
            raise

    def begin(self) -> None:
        self._pipe.send("begin")

    def stop(self) -> dict[str, Any]:
        """Let them leave; what they got."""
        self._stop.set()
        try:
            if self._pipe.poll(LEAVE_S):
                found: dict[str, Any] = self._pipe.recv()
                return found
            return {"got": {}, "faults": [f"the attackers did not leave within {LEAVE_S:g} s"], "facts": {}}
        except EOFError:
            return {"got": {}, "faults": ["the attackers' process failed; its output above says why"], "facts": {}}
        finally:
            self._process.join(10)
            if self._process.is_alive():
                self._process.kill()
