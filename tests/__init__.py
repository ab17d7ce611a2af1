"""Tests have the folders of the packages; those in `contract/` concern several. `check` enforces annotations.

Parts that several tests use are in `support/`. `proving/` checks that galleries keep their promises, even when killed;
tests and benchmarks use it. Files of earlier releases are in `golden/`.
"""

import os

from tests.support.annotation_checks import check, check_shapes_only_where_there_are_any

__all__ = ["check"]

check_shapes_only_where_there_are_any()
# Processes that tests start inherit this. Some tests import onnxruntime before gfp_serve/runtime.py, which says why.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Arrays in tests are small: on a busy machine two threads take ten times longer than one, waiting for each other. If a
# test asks for two, they sleep while they wait.
os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"] = "1", "passive"
