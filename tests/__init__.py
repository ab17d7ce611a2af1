"""Tests mirror the packages; `contract/` holds what crosses them. Shape annotations are executed with `check`.

Parts that several tests use are in `support/`. What a gallery must hold to, even when it is killed, is in `proving/`,
for tests and benchmarks. Files of earlier releases are in `golden/`.
"""

import os

from beartype import BeartypeConf, beartype

# For the processes that tests start, too. Some tests import onnxruntime before gfp_serve/encoder.py, which says why.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Arrays here are small: on a busy machine two threads wait for each other ten times longer than one computes.
os.environ["OMP_NUM_THREADS"] = "1"

# Ints are accepted where floats are annotated (PEP 484), as type checkers do.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
