"""Settings of every test.

Made-up inputs are the same in each run, so that a change is judged by what it changed; `pytest --hypothesis-profile
explore` looks at ten times as many new ones. No time limit on one input: the first of a test may compile or import.
"""

import os

from hypothesis import settings

# Some tests import onnxruntime before gfp_serve/encoder.py, which says why.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("same")
