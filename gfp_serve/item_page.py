"""The page of stored items, side by side: what `gfp get --html` writes."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from gfp_serve.items import Item
from gfp_serve.motion_page import MotionPanel, MotionRow, write_motion_page
from gfp_serve.neighbour_page import Origin, WrittenPage, advice_about, find_motions, named_files, shown_copy

# More than these do not fit side by side.
MAX_ITEMS = 12


def write_item_page(
    path: Path, items: Sequence[Item], recordings: Iterable[Path], report: Callable[[str], None]
) -> WrittenPage:
    """Write a page that shows the first `MAX_ITEMS` items.

    Their motion is that of `recordings` (files and folders), and where these do not have it, the copy that came with
    the item. A damaged recording is left out, and `report` is called with the reason.
    """
    shown = items[:MAX_ITEMS]
    origins = {item.id: Origin(item.id, item.source) for item in shown}
    motions = find_motions(origins.values(), named_files(recordings), report)
    panels = []
    num_copies = 0
    for item in shown:
        motion, subtitle = motions.get(origins[item.id]), item.id
        if motion is None and item.motion is not None and (copy := shown_copy(item.motion)) is not None:
            motion, subtitle = copy.motion, f"{item.id} · {copy.remark}"
            num_copies += 1
        missing = "" if motion else advice_about(origins[item.id])
        panels.append(MotionPanel(title=item.label, subtitle=subtitle, motion=motion, missing=missing))
    note = f"This page shows {len(shown)} of {len(items)} items." if len(shown) < len(items) else ""
    row = MotionRow(query=None, neighbours=panels)
    num_bytes = write_motion_page(path, [row], title="Items of a gallery", note=note)
    num_without = sum(panel.motion is None for panel in panels)
    return WrittenPage(len(shown), len(items), num_bytes, len(shown), num_without, num_copies)
