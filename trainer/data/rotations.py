"""Rotations of bodies by angles about the axes. `trainer.body_frame.bodies_turned` applies them."""

from jaxtyping import Float
from torch import Tensor


def rotations(angles: Float[Tensor, "rows 3"], order: tuple[int, int, int] = (0, 1, 2)) -> Float[Tensor, "rows 3 3"]:
    """Rotations of column vectors by angles about x, y and z in radians, about the axes of `order` one after the other.

    With the order as it is by default, Rz · Ry · Rx.
    """
    cos, sin = angles.cos(), angles.sin()
    about = angles.new_zeros(3, len(angles), 3, 3)
    for axis in range(3):
        # The next two axes span the plane that turns.
        first, second = (axis + 1) % 3, (axis + 2) % 3
        about[axis, :, axis, axis] = 1
        about[axis, :, first, first] = about[axis, :, second, second] = cos[:, axis]
        about[axis, :, first, second], about[axis, :, second, first] = -sin[:, axis], sin[:, axis]
    one, two, three = order
    return about[three] @ about[two] @ about[one]
