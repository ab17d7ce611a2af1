"""The trainer's commands: parse, call the library, print. Each is imported when it is called."""

import importlib
import signal
import sys
from typing import Any

from gfp_serve.errors import MissingExtraError
from gfp_serve.extras import load, missing

_MODULES = {
    "gfp_cost": "trainer.cli.cost",
    "gfp_data": "trainer.cli.data",
    "gfp_evaluate": "trainer.cli.evaluate",
    "gfp_export": "trainer.cli.export",
    "gfp_train": "trainer.cli.train",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        if name != "gfp_data":
            load("torch")  # before others of its extra are missed, which may be in a smaller one too
        return getattr(importlib.import_module(_MODULES[name]), name)
    except ModuleNotFoundError as error:
        sys.exit(f"Error: {missing(error)}")
    except MissingExtraError as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:  # torch takes seconds, longer on a busy machine
        sys.exit(128 + signal.SIGINT)
