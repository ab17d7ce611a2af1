"""Tests mirror the packages; `contract/` holds what crosses them. Shape annotations are executed with `check`.

Parts that several tests use are in `support/`. What a gallery must hold to, even when it is killed, is in `proving/`,
for tests and benchmarks. Files of earlier releases are in `golden/`.
"""

from beartype import BeartypeConf, beartype

# Ints are accepted where floats are annotated (PEP 484), as type checkers do.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
