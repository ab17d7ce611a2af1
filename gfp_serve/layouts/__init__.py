"""Joint layouts: which joints a source of skeletons has, in which order, and how the model's are made of them."""

from collections.abc import Sequence

from gfp_serve.errors import UnknownLayoutError, quoted
from gfp_serve.layouts.body_models import H36M17, H36M32, HUMANML22, SMPL22, SMPL24, SMPLX22
from gfp_serve.layouts.images import (
    BODY25,
    COCO17,
    COCO_WHOLEBODY133,
    HALPE26,
    JHMDB15,
    MEDIAPIPE33,
    MPII16,
    OPENPOSE18,
    PENN13,
)
from gfp_serve.layouts.layout import (
    RECIPE_NAMES,
    JointSource,
    Layout,
    Status,
    joint_sources,
    kept_parent,
    map_joints,
    mapping_matrix,
    needed_joints,
    statuses,
    without_joints,
)
from gfp_serve.layouts.names import standard_name
from gfp_serve.layouts.sensors import AZURE32, BANDAI21, FLORENCE15, KINECT20, NTU25, OPENNI15

__all__ = [
    "AZURE32",
    "BANDAI21",
    "BODY25",
    "COCO17",
    "COCO_WHOLEBODY133",
    "FLORENCE15",
    "H36M17",
    "H36M32",
    "HALPE26",
    "HUMANML22",
    "JHMDB15",
    "KINECT20",
    "LAYOUTS",
    "MEDIAPIPE33",
    "MPII16",
    "NTU25",
    "OPENNI15",
    "OPENPOSE18",
    "PENN13",
    "SMPL22",
    "SMPL24",
    "SMPLX22",
    "STANDARD_NAMES",
    "JointSource",
    "Layout",
    "Status",
    "joint_sources",
    "kept_parent",
    "layout_named",
    "layout_of",
    "map_joints",
    "mapping_matrix",
    "needed_joints",
    "standard_name",
    "statuses",
    "without_joints",
]

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        *(NTU25, KINECT20, AZURE32, OPENNI15, FLORENCE15, BANDAI21),
        *(MEDIAPIPE33, COCO17, COCO_WHOLEBODY133, HALPE26, OPENPOSE18, BODY25, MPII16, PENN13, JHMDB15),
        *(SMPL22, SMPL24, SMPLX22, HUMANML22, H36M17, H36M32),
    )
}


# What a joint can be called, so that the joints of the model are made of it.
STANDARD_NAMES = frozenset(NTU25.joint_names) | RECIPE_NAMES


def layout_named(name: str) -> Layout:
    """The layout with this name. Raises `UnknownLayoutError`, which lists the names, if there is none."""
    try:
        return LAYOUTS[name]
    except KeyError:
        known = ", ".join(sorted(LAYOUTS))
        raise UnknownLayoutError(f"there is no joint layout {quoted(name)}; choose one of {known}.") from None


def layout_of(joint_names: Sequence[str], parents: Sequence[int]) -> Layout:
    """The known layout with exactly these joints in this order; otherwise a new one, by the standard names of these.

    Raises `UnknownLayoutError` when hips and shoulders are not among the names.
    """
    for layout in LAYOUTS.values():
        if layout.joint_names == tuple(joint_names):
            return layout
    names = tuple(map(str, joint_names))
    called: dict[str, str] = {}
    for name in names:
        standard = standard_name(name)
        if standard not in (*names, *called.values()):
            called[name] = standard
    layout = Layout("custom", names, tuple(map(int, parents)), called)
    joint_sources(layout, NTU25)
    return layout
