"""What happens to servers without an attacker: they are killed, and they freeze."""

import os
import signal
import time
from typing import Any

from benchmarks.attacks.kinds import Attack, Bounds, FirstAnswers, Stop, Tally
from benchmarks.attacks.scene import Scene, Target

OUTAGE_S, FROZEN_S = 15.0, 5.0
LONGEST_S = 60.0


def nothing(_target: Target, _prepared: Any, stop: Stop, _tally: Tally) -> None:
    stop.wait()


def outage(scene: Scene, first_answers: FirstAnswers, tally: Tally) -> None:
    """Kill the server and start it again after a while, on the same port."""
    scene.kill()
    time.sleep(OUTAGE_S)
    tally.facts["start, s"] = round(scene.start(), 1)
    _wait_for_answers(first_answers, tally)


def frozen(scene: Scene, first_answers: FirstAnswers, tally: Tally) -> None:
    """Stop the process for a while, as a machine that swaps or a paused virtual machine does."""
    os.kill(scene.target.pid, signal.SIGSTOP)
    time.sleep(FROZEN_S)
    os.kill(scene.target.pid, signal.SIGCONT)
    _wait_for_answers(first_answers, tally)


def _wait_for_answers(first_answers: FirstAnswers, tally: Tally) -> None:
    """Note how long it takes until each honest caller has an answer again."""
    back = time.monotonic()
    while (missing := 5 - len(answers := first_answers(back))) and time.monotonic() < back + LONGEST_S:
        time.sleep(0.1)
    tally.facts["answered again after, s"] = {what: round(seconds, 1) for what, seconds in answers.items()}
    if missing:
        tally.fault(f"{missing} kinds of honest calls are not answered {LONGEST_S:g} s after the server's return")


# Calls fail while there is no server: how long after its return is in the report.
AWAY = Bounds(memory_mb=None, health_p99_ms=None, search_p99_ms=None, failures=None, new_connections=None)

OUTAGES = {
    "outage": Attack(
        does=f"the server is killed and starts again after {OUTAGE_S:g} s",
        run=nothing,
        by_operator=outage,
        bounds=AWAY,
        beside_others=False,
    ),
    "frozen": Attack(
        does=f"the server's process is stopped for {FROZEN_S:g} s",
        run=nothing,
        by_operator=frozen,
        bounds=Bounds(health_p99_ms=None, search_p99_ms=None),
        beside_others=False,
    ),
}
