"""Clips as servers take them."""

import numpy as np
from jaxtyping import Float32

from gfp_serve.formats.clip import Clip
from gfp_serve.items import Attribute
from gfp_serve.kept_motion import is_fps
from gfp_serve.layouts import LAYOUTS, Layout, needed_joints
from gfp_serve.lost_joints import lost_as_nan
from gfp_serve.preprocess import MODEL_LAYOUT
from gfp_serve.skeleton import check_sequence


def as_sent(clip: Clip) -> tuple[Float32[np.ndarray, "frames bodies joints 3"], Layout]:
    """The clip as it is. Of a layout that servers do not know by name, only the joints that the model's are made of.

    Raises `InvalidSkeletonError` for a clip of such a layout that cannot be used.
    """
    layout, sequence = clip.layout, clip.sequence
    if LAYOUTS.get(layout.name) != layout:
        raw = lost_as_nan(check_sequence(sequence, layout), layout)
        layout, joints = needed_joints(layout, MODEL_LAYOUT)
        sequence = raw[:, :, joints]
    return sequence, layout


def usable_fps(clip: Clip) -> float | None:
    """The frames a second of a clip, or None where a file says what cannot be."""
    return clip.fps if is_fps(clip.fps) else None


def attributes_of(clip: Clip) -> dict[str, Attribute]:
    """What an item that is made of a clip keeps of what its recording says, beside the label."""
    attributes: dict[str, Attribute] = {"subject": clip.subject, "camera": clip.camera}
    if clip.description:
        attributes["description"] = clip.description
    return attributes
