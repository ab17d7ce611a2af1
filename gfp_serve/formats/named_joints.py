"""Columns of files in which each joint has a name, such as those of depth sensors and marker files, as a layout."""

import re
from collections.abc import Sequence

from gfp_serve.errors import UnknownLayoutError
from gfp_serve.layouts import (
    AZURE32,
    LAYOUTS,
    NTU25,
    STANDARD_NAMES,
    Layout,
    joint_sources,
    kept_parent,
    standard_name,
)

_KNOWN = STANDARD_NAMES | set(AZURE32.canonical_names) | {"HeelLeft", "HeelRight"}
# Without capitals nothing tells where a word ends. The last three are the first Kinect's.
_WITHOUT_CAPITALS = {name.lower(): name for name in _KNOWN}
_WITHOUT_CAPITALS |= {"hipcenter": "SpineBase", "spine": "SpineMid", "shouldercenter": "SpineShoulder"}
_WITH_CENTRES = ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
# LHJC, R_KJC, left_hip_centre, RKneeJointCenter: the centres of joints, as biomechanics calls them.
_CENTRE = re.compile(
    r"(?P<side>l|r|left|right)(?:(?P<part>shoulder|elbow|wrist|hip|knee|ankle|[sewhka](?=jc$))(?:joint)?(?:cent(?:re|er)|jc))"
)


def known_name(name: str) -> str | None:
    """The standard name of a joint, in any common spelling; None if it is not known."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    if centre := _CENTRE.fullmatch(letters):
        part = next(each for each in _WITH_CENTRES if each.lower().startswith(centre["part"]))
        return f"{part}{'Left' if centre['side'].startswith('l') else 'Right'}"
    found = _WITHOUT_CAPITALS.get(letters) or standard_name(name)
    return found if found in _KNOWN else None


def layout_of_names(names: Sequence[str]) -> tuple[Layout, list[int]]:
    """The layout of those of these joints that are known, and their indices in its order.

    It is a layout of `LAYOUTS` if one has just these joints, in any order; otherwise a new one, in the order of the
    names, whose parents are those of the Azure Kinect or the Kinect v2. Raises `UnknownLayoutError` when hips and
    shoulders are not among them.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        standard = known_name(name)
        if standard is not None:
            places.setdefault(standard, place)
    for layout in LAYOUTS.values():
        if set(layout.canonical_names) == places.keys():
            return layout, [places[name] for name in layout.canonical_names]
    tree = AZURE32 if "Chest" in places else NTU25
    kept = [joint for joint, name in enumerate(tree.canonical_names) if name in places]
    parents = [kept_parent(joint, tree.parents, kept) for joint in kept]
    further = [name for name in places if name not in tree.canonical_names]
    found = [*(tree.canonical_names[joint] for joint in kept), *further]
    above = [_above(name) for name in further]
    parents += [found.index(name) if name in found else -1 for name in above]
    layout = Layout("custom", tuple(found), tuple(parents))
    try:
        joint_sources(layout, NTU25)
    except UnknownLayoutError as error:
        raise UnknownLayoutError(f"{error} Of its names, these are known: {', '.join(found) or 'none'}.") from error
    return layout, [places[name] for name in found]


def _above(name: str) -> str:
    """The parent of a joint that no Kinect has."""
    part = "Ankle" if re.match("BigToe|SmallToe|Heel", name) else "Wrist" if "Knuckle" in name else ""
    return f"{part}{'Left' if name.endswith('Left') else 'Right'}" if part else "Head"
