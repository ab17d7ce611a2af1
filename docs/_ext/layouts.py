"""Writes the reference of joint layouts, with a picture of each, from the table that the code uses.

A page asks for it with a line of its own, `{{layouts}}`; with `{{proven layouts}}`, for the table of what proves each.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from gfp_serve.layouts import LAYOUTS, NTU25, Layout, joint_sources
from gfp_serve.layouts.person import PERSON

_REQUEST, _REQUEST_FOR_PROOF = "{{layouts}}", "{{proven layouts}}"
_TURN = math.radians(35)
_WIDTH, _HEIGHT, _SCALE = 190, 330, 165
_COLOURS = {"Left": "#0072B2", "Right": "#D55E00"}
_MIDDLE, _LACKING = "#3A3A3A", "#8A8A8A"

_ROOT = Path(__file__).parents[2]
_FORMATS = "tests/gfp_serve/formats"
# Every layout is tested here.
_EVERY_LAYOUT = "tests/gfp_serve/layouts/test_layouts.py"
# Recordings in the repository, and the sets outside it that benchmarks/skeletons.json names.
_REAL = {
    "ntu25": ("`examples/clips/cmu_sample.npz`", "CMU"),
    "kinect20": ("`examples/clips/precog.npz`", "UTD-MHAD, MSRC-12, KinderGator, NW-UCLA"),
    "florence15": ("", "Florence 3D"),
    "mediapipe33": ("", "signs and exercises, both by MediaPipe"),
}
# The formats in which exactly formed files have a layout, and the test that reads them.
_EXACTLY_FORMED = {
    "ntu25": {
        "NTU RGB+D": "test_ntu.py",
        "PKU-MMD": "test_pku_mmd.py",
        "CTR-GCN": "test_ctr_gcn.py",
        "PYSKL": "test_pyskl.py",
        "ST-GCN": "test_agcn.py",
        "BVH": "test_bvh_rigs.py",
        "CSV": "test_sensor_csv.py",
    },
    "kinect20": {"clip file": "test_clip_file.py", "NW-UCLA": "test_nw_ucla.py", "CSV": "test_sensor_csv.py"},
    "azure32": {"CSV": "test_sensor_csv.py"},
    "florence15": {"clip file": "test_clip_file.py"},
    "bandai21": {"clip file": "test_clip_file.py"},
    "mediapipe33": {"MediaPipe, JSON and CSV": "test_mediapipe.py"},
    "coco17": {
        "COCO and AlphaPose": "test_keypoint_results.py",
        "MMPose": "test_mmpose.py",
        "Ultralytics": "test_ultralytics.py",
        "PYSKL": "test_pyskl_keypoint.py",
        "VideoPose3D": "test_videopose3d.py",
    },
    "coco_wholebody133": {"COCO": "test_keypoint_results.py", "MMPose": "test_mmpose.py"},
    "halpe26": {"COCO and AlphaPose": "test_keypoint_results.py", "MMPose": "test_mmpose.py"},
    "openpose18": {
        "OpenPose": "test_openpose.py",
        "Kinetics-skeleton": "test_kinetics_skeleton.py",
        "PYSKL": "test_pyskl_keypoint.py",
        "ST-GCN": "test_agcn.py",
    },
    "body25": {"OpenPose": "test_openpose.py", "PYSKL": "test_pyskl_keypoint.py"},
    "mpii16": {"MMPose": "test_mmpose.py"},
    "humanml22": {"HumanML3D": "test_humanml3d.py"},
    "h36m17": {"VideoPose3D": "test_videopose3d.py", "MMPose, 3-D": "test_mmpose.py"},
    "h36m32": {"VideoPose3D": "test_videopose3d.py"},
}


def _page() -> Iterator[str]:
    yield from ("| layout | joints | measured | derived | lacking |", "|---|---|---|---|---|")
    for layout in LAYOUTS.values():
        found = [made.status for made in joint_sources(layout, NTU25)]
        counts = " | ".join(str(found.count(status)) for status in ("measured", "derived", "lacking"))
        yield f"| [{layout.name}](#{layout.name.replace('_', '-')}) | {layout.num_joints} | {counts} |"
    for layout in LAYOUTS.values():
        yield from ("", f"## {layout.name}", "", f"{layout.source}.", "", _picture(layout), "")
        yield from _table(layout)
        yield from ("", f"In order: {', '.join(f'`{name}`' for name in layout.joint_names)}.")


def _proof() -> Iterator[str]:
    """What proves each layout. Raises `ExtensionError` for a test or a layout that is not there."""
    yield from ("| layout | real files | exactly formed files |", "|---|---|---|")
    for layout in LAYOUTS.values():
        shipped, measured = _REAL.get(layout.name, ("", ""))
        real = "; ".join(part for part in (shipped, f"measured: {measured}" if measured else "") if part)
        formed = [f"{name}: `{_FORMATS}/{test}`" for name, test in _EXACTLY_FORMED.get(layout.name, {}).items()]
        yield f"| `{layout.name}` | {real or 'none'} | {'; '.join(formed) or 'none; a person in its joints'} |"
    tests = {f"{_FORMATS}/{test}" for of_layout in _EXACTLY_FORMED.values() for test in of_layout.values()}
    gone = [path for path in sorted({*tests, _EVERY_LAYOUT}) if not (_ROOT / path).is_file()]
    gone += sorted({*_REAL, *_EXACTLY_FORMED} - LAYOUTS.keys())
    if gone:
        raise ExtensionError(f"docs/_ext/layouts.py names what is not there: {', '.join(gone)}.")


def _table(layout: Layout) -> Iterator[str]:
    yield from ("| joint of the model | is | made of |", "|---|---|---|")
    for name, made in zip(NTU25.joint_names, joint_sources(layout, NTU25), strict=True):
        parts = [f"`{joint}`" if weight == 1 else f"{weight:g} `{joint}`" for joint, weight in made.weights.items()]
        yield f"| `{name}` | {made.status} | {' + '.join(parts)} |"


def _picture(layout: Layout) -> str:
    """The layout's bones, and as rings the joints of the model that it lacks."""
    names = layout.canonical_names
    places = [_place(PERSON[name]) if name in PERSON else None for name in names]
    parts = [
        f'<line x1="{a[0]}" y1="{a[1]}" x2="{b[0]}" y2="{b[1]}" stroke="{_line_colour(layout, joint, other)}" '
        'stroke-width="2.5"/>'
        for joint, other in layout.bones
        if (a := places[joint]) is not None and (b := places[other]) is not None
    ]
    parts += [
        f'<circle cx="{place[0]}" cy="{place[1]}" r="3.5" fill="{_colour(name)}"><title>{own}</title></circle>'
        for own, name, place in zip(layout.joint_names, names, places, strict=True)
        if place is not None
    ]
    for name, made in zip(NTU25.joint_names, joint_sources(layout, NTU25), strict=True):
        if made.status == "lacking":
            x, y = _place(PERSON[name])
            ring = f'<circle cx="{x}" cy="{y}" r="4" fill="none" stroke="{_LACKING}" stroke-dasharray="2 1.5">'
            parts.append(f"{ring}<title>lacking: {name}</title></circle>")
    label = f"The joints of {layout.name} on a standing person"
    return (
        f'<svg class="layout" role="img" aria-label="{label}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}">{"".join(parts)}</svg>'
    )


def _place(point: tuple[float, float, float]) -> tuple[float, float]:
    """Seen from the front and a little from the person's right: the left hand is on the right of the picture."""
    x, y, z = point
    across = x * math.cos(_TURN) - z * math.sin(_TURN)
    return round(_WIDTH / 2 + 15 + _SCALE * across, 1), round(_HEIGHT - 18 - _SCALE * (y + 0.12 * z), 1)


def _colour(name: str) -> str:
    return next((colour for side, colour in _COLOURS.items() if name.endswith(side)), _MIDDLE)


def _line_colour(layout: Layout, joint: int, other: int) -> str:
    """That of the joint, for the line to its parent; a line across is of no side."""
    return _colour(layout.canonical_names[joint]) if layout.parents[joint] == other else _MIDDLE


def _fill_in(_app: Sphinx, _docname: str, content: list[str]) -> None:
    for request, lines in ((_REQUEST, _page), (_REQUEST_FOR_PROOF, _proof)):
        if request in content[0]:
            content[0] = content[0].replace(request, "\n".join(lines()))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _fill_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
