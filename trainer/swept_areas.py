"""Which way round joints go, and which of them moves first: the areas that their paths sweep.

Means and sorted places of a joint do not know in which order it was where: a circle drawn to the left and one drawn to
the right are the same to them. The area between two coordinates' paths tells these apart. It is the second level of a
path's signature (Yang et al. 2017, arXiv 1707.03993), and knows nothing of speed: warped time and rest before and after
do not change it.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gfp_serve.preprocess import MODEL_LAYOUT
from trainer.body_frame import exact_product

_MOVERS = [
    MODEL_LAYOUT.joint_names.index(name)
    for name in ("SpineBase", "Head", "WristLeft", "WristRight", "AnkleLeft", "AnkleRight")
]
_NUM_PATHS = 3 * len(_MOVERS)
NUM_AREAS = _NUM_PATHS * (_NUM_PATHS - 1) // 2
# Frames whose mean is one point of a path: so the noise of a joint sweeps less.
_FRAMES_OF_POINT = 4
# In square metres. Larger areas count by their root, as lengths do; smaller ones, which are mostly noise, by less.
_SMALL_AREA = 0.01


def swept_areas(
    bodies: Float[Tensor, "rows frames joints 3"], known: Bool[Tensor, "rows frames joints"]
) -> Float[Tensor, "rows areas"]:
    """The areas of six joints in the frame of their body (`body_frame.in_body_frame`): root, head, wrists and ankles.

    One number for each pair of their 18 coordinates: a / √(|a| + 0.01 m²), where a is the area in m² that the point of
    both coordinates sweeps, positive if it goes from the first axis to the second, closed by a straight line. Where a
    joint is lacking, its path goes straight on to where it is seen again; a joint that is never seen sweeps nothing.
    """
    paths = _points(bodies[:, :, _MOVERS], known[:, :, _MOVERS])
    paths = (paths - paths[:, :1]).flatten(2)
    # The sum of x · next y over the points, less that of y · next x, is twice the area (the shoelace formula).
    products = exact_product(paths[:, :-1].transpose(1, 2), paths[:, 1:])
    areas = (products - products.transpose(1, 2)) / 2
    first, second = torch.triu_indices(_NUM_PATHS, _NUM_PATHS, offset=1, device=bodies.device)
    areas = areas.flatten(1)[:, first * _NUM_PATHS + second]
    return areas / (areas.abs() + _SMALL_AREA).sqrt()


def _points(
    places: Float[Tensor, "rows frames joints 3"], known: Bool[Tensor, "rows frames joints"]
) -> Float[Tensor, "rows points joints 3"]:
    """Means of a few frames each. A joint that is not seen in them stays at its last point, or waits at its first."""
    rows, frames, joints, _ = places.shape
    points_of = (rows, frames // _FRAMES_OF_POINT, _FRAMES_OF_POINT, joints)
    used = points_of[1] * _FRAMES_OF_POINT
    has = known[:, :used].reshape(points_of)
    count = has.sum(dim=2)
    points = (places[:, :used].reshape(*points_of, 3) * has[..., None]).sum(dim=2)
    points = points / count.clamp_min(1)[..., None]
    number = torch.arange(count.shape[1], device=places.device)
    seen = torch.where(count > 0, number[:, None], -1).transpose(1, 2)  # rows, joints, points
    last = torch.where(number[:, None] >= number, seen[:, :, None], -1).amax(dim=3)
    first = (count > 0).int().argmax(dim=1)[:, :, None]
    chosen = torch.where(last < 0, first, last).transpose(1, 2)
    return points.gather(1, chosen[..., None].expand(-1, -1, -1, 3))
