"""Attacks, kills, changes of the bundle and honest callers beside each other, on one folder of galleries."""

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.attacks.every import ATTACKS
from benchmarks.attacks.honest import result_counts
from benchmarks.attacks.parties import Attackers, Honesty
from benchmarks.attacks.scene import BUNDLES, Scene

ATTACK_S, KILL_EACH_S, SWITCH_EACH_S = 15.0, 90.0, 50.0
WINDOW_S = 10.0  # over which p99 of health is drawn
FLAT = 0.2  # the part by which the memory of the last part may be above that of the first

Say = Callable[[str], None]


@dataclass
class Soak:
    """One soak. `run` goes through its parts; `report` is what is known so far."""

    scene: Scene
    seconds: float
    num_parts: int
    seed: int
    say: Say
    save: Callable[[dict[str, Any]], None]
    parts: list[dict[str, Any]] = field(default_factory=list)
    marks: list[dict[str, Any]] = field(default_factory=list)  # what happened, and when, in seconds from the start
    faults: list[str] = field(default_factory=list)
    got: dict[str, Counter[str]] = field(default_factory=dict)  # by attack

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)
        names = [name for name, attack in ATTACKS.items() if attack.beside_others]
        self._draw.shuffle(names)
        self._names = itertools.cycle(names)
        self._served = BUNDLES[0]
        self._kill_at = self._switch_at = 0.0
        self._is_stopped = False

    def run(self) -> None:
        """Go through the parts. Ctrl-C ends it after what is written was compared and the report saved."""
        self._honest = Honesty(self.scene, self.seed)
        try:
            self._honest.wait_for_work()
            self._start = time.monotonic()
            self._mark("bundle", self._served)
            self._plan(self._start)
            for number in range(self.num_parts):
                begin = time.monotonic()
                try:
                    self._attack_by_turns(self.num_parts - number)
                except KeyboardInterrupt:
                    self._is_stopped = True
                    self.say("stopping: what honest callers wrote is compared first")
                self._end_part(begin)
                self.save(self.report())
                if self._is_stopped:
                    break
        finally:
            self._honest.stop()
        self.faults += [*self._honest.wrong(), *self._honest.notes]
        self.save(self.report())

    def report(self) -> dict[str, Any]:
        kinds = Counter(mark["what"] for mark in self.marks)
        return {
            "seconds": round(time.monotonic() - self._start),
            "stopped early": self._is_stopped,
            "kills": kinds["kill"],
            "bundle switches": kinds["bundle"] - 1,
            "attacks": kinds["attack"],
            "answers": self._honest.answers,
            "memory": self._memory_by_bundle(),
            "faults": self.faults,
            "parts": self.parts,
            "attackers": {name: dict(got) for name, got in self.got.items()},
            "marks": self.marks,
            "series": self._series(),
        }

    def _attack_by_turns(self, num_left: int) -> None:
        """Attack for one part of the time."""
        length = self.seconds / self.num_parts
        end = time.monotonic() + length
        while (now := time.monotonic()) < end:
            name = next(self._names)
            left = end - now + (num_left - 1) * length
            self.say(f"{left / 60:.1f} minutes left, memory {self.scene.memory.now():.0f} MB: {name}")
            self._attack(name, min(ATTACK_S, length))

    def _attack(self, name: str, seconds: float) -> None:
        """Let the attackers work for this time, while the server is killed or gets another bundle if it is time."""
        try:
            attackers = Attackers(name, self.scene.target)
        except RuntimeError:  # the server was killed, or refused, while they made ready
            self.got.setdefault(name, Counter())["could not begin"] += 1
            return
        self._mark("attack", name)
        attackers.begin()
        end = time.monotonic() + seconds
        try:
            while (now := time.monotonic()) < end:
                self._look_after_server()
                if now >= self._kill_at:
                    self._kill()
                elif now >= self._switch_at:
                    self._switch()
                time.sleep(0.1)
        finally:
            found = attackers.stop()
            self._mark("attack ended", name)
            self.got.setdefault(name, Counter()).update(found["got"])
            self.got[name].update({f"noted: {fault}": 1 for fault in found["faults"]})

    def _look_after_server(self) -> None:
        if self.scene.has_ended():
            self.faults.append(f"the server ended by itself; the end of its log: {self.scene.log_end(500)}")
            self._mark("ended", "")
            self.scene.start()

    def _kill(self) -> None:
        self.scene.kill()
        self._mark("kill", "")
        self.scene.start()
        self._mark("started", "")
        self._kill_at = time.monotonic() + KILL_EACH_S * self._draw.uniform(0.7, 1.3)

    def _switch(self) -> None:
        self._served = BUNDLES[1 - BUNDLES.index(self._served)]
        self.scene.reload(self.scene.choose_bundle(self._served))
        self._mark("bundle", self._served)
        self._switch_at = time.monotonic() + SWITCH_EACH_S * self._draw.uniform(0.7, 1.3)

    def _plan(self, now: float) -> None:
        """The first kill and the first switch come early, so that a short soak has them too."""
        self._kill_at, self._switch_at = now + min(20.0, self.seconds / 8), now + min(35.0, self.seconds / 4)

    def _end_part(self, begin: float) -> None:
        """Compare all that was acknowledged, under both bundles, while nobody attacks."""
        end = time.monotonic()
        self._look_after_server()
        compared = {}
        for _ in BUNDLES:
            compared[self._served] = self._honest.check()
            self._switch()
        self._switch_at = time.monotonic() + SWITCH_EACH_S
        self.parts.append(
            {
                "from_s": round(begin - self._start, 1),
                "to_s": round(end - self._start, 1),
                "memory_mb": self._memory_between(begin, end),
                "calls": result_counts(self._honest.between(begin, end)),
                "compared": compared,
            }
        )
        if lost := sum(each.get("lost", 0) for each in compared.values()):
            self.faults.append(f"{lost} acknowledged items are not there after {(end - self._start) / 60:.1f} minutes")

    def _memory_between(self, begin: float, end: float) -> dict[str, float | None]:
        """The median for each bundle, while it was served."""
        changes = [(mark["s"] + self._start, mark["name"]) for mark in self.marks if mark["what"] == "bundle"]
        readings: dict[str, list[float]] = {name: [] for name in BUNDLES}
        for when, megabytes in list(self.scene.memory.readings):
            if begin <= when <= end:
                served = [name for since, name in changes if since <= when]
                readings[served[-1] if served else BUNDLES[0]].append(megabytes)
        return {name: round(float(np.median(each)), 1) if each else None for name, each in readings.items()}

    def _memory_by_bundle(self) -> dict[str, Any]:
        """Whether memory stayed flat, for each bundle that was served in the first part and in the last."""
        facts = {}
        for name in BUNDLES:
            medians = [part["memory_mb"][name] for part in self.parts]
            known = [each for each in medians if each is not None]
            grew = known[-1] / known[0] - 1 if len(known) > 1 else None
            facts[name] = {
                "medians_mb": medians,
                "grew": None if grew is None else round(grew, 3),
                "is_flat": None if grew is None else grew <= FLAT,
            }
        return facts

    def _series(self) -> dict[str, Any]:
        """What the picture shows: memory each second, and p99 of health over windows."""
        seconds: dict[int, float] = {}
        for when, megabytes in list(self.scene.memory.readings):
            if (second := int(when - self._start)) >= 0:
                seconds[second] = max(seconds.get(second, 0.0), round(megabytes, 1))
        windows: dict[int, list[float]] = {}
        for ended, what, took, result in list(self._honest.records):
            if what == "health" and result == "OK" and ended >= self._start:
                windows.setdefault(int((ended - self._start) / WINDOW_S), []).append(took)
        return {
            "memory_mb": sorted(seconds.items()),
            "health_p99_ms": [
                (round(number * WINDOW_S, 1), round(1e3 * float(np.quantile(took, 0.99)), 1))
                for number, took in sorted(windows.items())
            ],
        }

    def _mark(self, what: str, name: str) -> None:
        self.marks.append({"s": round(time.monotonic() - self._start, 1), "what": what, "name": name})
