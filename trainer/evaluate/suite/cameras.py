"""A camera that films a clip: 3-D joints become joints of an image."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float32

from gfp_serve.errors import UnknownLayoutError
from gfp_serve.formats import Clip
from gfp_serve.image_joints import from_image
from gfp_serve.layouts import Layout
from gfp_serve.preprocess import rotate_about_vertical
from trainer.evaluate.suite.other_layouts import place_of

# Where cameras stand: beside the front, above or below the hips (negative: it looks up), and how far away.
LARGEST_YAW, PITCH, DISTANCE_M = np.pi / 3, (-0.2, 0.35), (2.5, 5.0)
# Focal length in pixels; the scale of an image is lost again when its joints are read.
_FOCAL = 1000.0
# Nothing is seen that is nearer to the camera than this.
_NEAREST_M = 0.2


def filmed(clip: Clip, numbers: np.random.Generator) -> Clip:
    """A random camera takes the depth away: 2-D joints, read as the server reads those of an image.

    It stands still, within 60° of the person's mean front, 2.5 to 5 m from the mean place of the first body, looks at
    it, and is tilted from 11° upwards to 20° downwards. A joint behind the camera is lost.
    """
    yaw = numbers.uniform(-LARGEST_YAW, LARGEST_YAW)
    pitch, distance = numbers.uniform(*PITCH), numbers.uniform(*DISTANCE_M)
    centred = clip.sequence - np.nanmean(clip.sequence[:, 0], axis=(0, 1), dtype=np.float64)
    front = rotate_about_vertical(centred.astype(np.float32), yaw - front_angle(centred, clip.layout))
    cos, sin = np.cos(pitch), np.sin(pitch)
    x, y, z = front[..., 0], cos * front[..., 1] - sin * front[..., 2], sin * front[..., 1] + cos * front[..., 2]
    depth = distance - z
    depth[~(depth > _NEAREST_M)] = np.nan
    image = np.stack([_FOCAL * x / depth, -_FOCAL * y / depth], axis=-1)
    placed = from_image(image, clip.layout, up="-y").sequence
    return replace(clip, sequence=placed, dimensions=2)


def front_angle(sequence: Float[np.ndarray, "frames bodies joints 3"], layout: Layout) -> float:
    """The angle by which `rotate_about_vertical` turned a person who faced along z; 0 if hips and shoulders coincide.

    From the mean of the lines from right to left hip, or shoulder, of the first body.
    """
    for part in ("Hip", "Shoulder"):
        try:
            left, right = (place_of(sequence, layout, f"{part}{side}")[:, 0] for side in ("Left", "Right"))
        except UnknownLayoutError:
            continue
        across = _mean(left - right)
        if np.hypot(across[0], across[2]) > 1e-3:
            return float(np.arctan2(across[2], across[0]))
    return 0.0


def _mean(vectors: Float[np.ndarray, "frames 3"]) -> Float32[np.ndarray, " 3"]:
    seen = vectors[np.isfinite(vectors).all(axis=1)]
    return (seen.mean(axis=0) if len(seen) else np.zeros(3)).astype(np.float32)
