"""Reads what a page of moving skeletons stores, as the page's script does."""

import base64
import json
import re
from typing import Any

import numpy as np


def data_of(page: str) -> Any:
    """Return the rows, skeletons and motions of a page."""
    (text,) = re.findall('<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(text)


def positions(packed: dict[str, Any]) -> np.ndarray:
    """Return one motion, in metres: frames × bodies × joints × axes. NaN where a joint is not drawn."""
    steps = np.frombuffer(base64.b64decode(packed["positions"]), dtype="<i2")
    metres = np.where(steps == -32768, np.nan, steps * packed["step_m"])
    return metres.reshape(packed["frames"], packed["bodies"], -1, 3)
