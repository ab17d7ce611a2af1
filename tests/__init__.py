"""Tests mirror the packages; `contract/` holds what crosses them. Shape annotations are executed with `check`."""

from beartype import BeartypeConf, beartype

# Ints are accepted where floats are annotated (PEP 484), as type checkers do.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
