"""benchmarks/attack.py for a few seconds: attackers are refused, and nothing that honest callers wrote is lost.

No bound of time or memory is asserted: those are for a quiet machine.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_S = 300  # on a busy machine


def attack(out: Path, *words: object) -> dict[str, Any]:
    """The report of this command, which must end well."""
    command = [sys.executable, ROOT / "benchmarks" / "attack.py", *words, "--out", out]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=out.parent)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.mark.timeout(LONGEST_S)
def test_attackers_are_refused_and_honest_callers_are_measured_before_during_and_after(tmp_path: Path) -> None:
    words = ("--only", "health-watches", "--seconds", 1, "--back-s", 0)
    watches = attack(tmp_path / "attack.json", "run", *words)["attacks"]["health-watches"]
    # One address may hold 32 watches, and all together 64; a connection that is closed early leaves its own to others.
    got = watches["attackers"]["got"]
    assert got["watches held"] + got["watches refused"] == 400
    assert 0 < got["watches held"] <= 64
    assert watches["calls"].keys() == {"before", "during", "after"}
    assert watches["calls"]["before"]["health"]["answered"] > 0
    assert watches["memory_mb"]["peak"] >= watches["memory_mb"]["before"] > 0
    assert watches["answers"]["acknowledged and verified"] > 0
    assert {"found", "most"} == watches["bounds"]["health p99, ms"].keys()


@pytest.mark.timeout(LONGEST_S)
def test_a_soak_has_an_attack_a_kill_and_other_bundles_and_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    soak = attack(out, "soak", "--minutes", 0.05, "--parts", 1)["soak"]
    assert soak["attacks"] >= 1
    assert soak["kills"] >= 1
    assert soak["bundle switches"] >= 2
    assert soak["answers"]["searches verified"] > 0
    assert soak["parts"][0]["compared"]["first"]["acknowledged and verified"] > 0
    assert not soak["faults"]
    picture = tmp_path / "soak.png"
    drawn = [sys.executable, ROOT / "benchmarks" / "attack.py", "picture", "--soak", out, "--out", picture]
    subprocess.run(list(map(str, drawn)), check=True, capture_output=True)
    assert picture.read_bytes().startswith(b"\x89PNG")
