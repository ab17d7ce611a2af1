"""Reads what a page of moving skeletons stores, as the page's script does."""

import base64
import json
import re
from typing import Any

import numpy as np


def data_of(page: str) -> Any:
    """Return the rows, layouts and motions of a page."""
    (text,) = re.findall('<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(text)


def positions(motion: dict[str, Any]) -> np.ndarray:
    """Return one motion, in metres: frames × bodies × joints × axes. NaN where a joint is not drawn."""
    metres = np.frombuffer(base64.b64decode(motion["positions"]), dtype="<f4")
    return metres.reshape(motion["num_frames"], motion["num_bodies"], motion["num_joints"], 3)


def seconds(motion: dict[str, Any]) -> float:
    """Return how long the clip of a motion lasts."""
    return (motion["frame_numbers"][-1] + 1) / motion["fps"]
