"""Every kind of attack, by name."""

from benchmarks.attacks.callers import CALLERS
from benchmarks.attacks.files import FILES
from benchmarks.attacks.galleries import GALLERIES
from benchmarks.attacks.kinds import Attack
from benchmarks.attacks.outages import OUTAGES
from benchmarks.attacks.strangers import STRANGERS

ATTACKS: dict[str, Attack] = {**STRANGERS, **CALLERS, **GALLERIES, **FILES, **OUTAGES}
