"""How large the page of `--html` is, and how long a browser takes until its first picture.

    python benchmarks/motion_page.py                     pages of the clips of examples/clips/cmu_sample.npz
    python benchmarks/motion_page.py --beside FOLDER     and in turns, pages of these names that another state wrote

Debian's Chromium opens each page again and again, without hardware for graphics: all is drawn on the CPU, which is the
slowest case. The first picture counts when the browser is asked for the frame after the first drawing on any canvas.
`--keep FOLDER` keeps the pages, so that another state can be measured beside them.
"""

import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from statistics import median

import click
from playwright.sync_api import Browser, TimeoutError
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from gfp_serve.formats import read_clips
from gfp_serve.motion_page import Motion, MotionPanel, MotionRow, write_motion_page
from tests.support.browser import WEBGL, launched

ROOT = Path(__file__).parents[1]
CLIPS = ROOT / "examples" / "clips" / "cmu_sample.npz"
REPORT = Path(__file__).parent / "motion_page.json"
# Queries and their neighbours: a search, one of all that `gfp search` shows, and far more.
CASES = ((1, 5), (12, 12), (300, 5))
LONGEST_S = 60

# Both ways of drawing: on the canvas itself, and by copying a picture onto it.
WATCH = """
window.firstPicture = null;
for (const name of ['drawImage', 'stroke', 'fill']) {
  const draw = CanvasRenderingContext2D.prototype[name];
  CanvasRenderingContext2D.prototype[name] = function (...given) {
    if (window.firstPicture === null) {
      window.firstPicture = 0;
      requestAnimationFrame(() => { window.firstPicture = performance.now(); });
    }
    return draw.apply(this, given);
  };
}"""


@click.command()
@click.option("--rounds", default=7, show_default=True)
@click.option("--beside", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=REPORT)
def main(rounds: int, beside: Path | None, keep: Path | None, out: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = keep or Path(name) / "pages"
        pages = {(queries, near, "this viewer"): write(folder, queries, near) for queries, near in CASES}
        if beside is not None:
            pages |= {(*case[:2], "beside"): beside / path.name for case, path in pages.items()}
        times: dict[tuple[int, int, str], list[float | None]] = {case: [] for case in pages}
        with launched(Path(name), *WEBGL) as browser:
            for _ in range(rounds):
                for case, page in pages.items():
                    times[case].append(first_picture_ms(browser, page))
        report = {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "rounds": rounds,
            "pages": [
                {
                    "queries": queries,
                    "neighbours": near,
                    "viewer": viewer,
                    "bytes": page.stat().st_size,
                    "ms": times[case],
                }
                for case, page in pages.items()
                for queries, near, viewer in [case]
            ],
        }
    out.write_text(json.dumps(report, indent=1) + "\n")
    table = Table("queries × neighbours", "viewer", "MB", "first picture, ms")
    for page in report["pages"]:
        ms = [LONGEST_S * 1000 if each is None else each for each in page["ms"]]
        shown = (
            f"more than {LONGEST_S * 1000}"
            if None in page["ms"]
            else f"{median(ms):.0f} ({min(ms):.0f} to {max(ms):.0f})"
        )
        table.add_row(f"{page['queries']} × {page['neighbours']}", page["viewer"], f"{page['bytes'] / 1e6:.1f}", shown)
    Console().print(table)


def write(folder: Path, queries: int, near: int) -> Path:
    """Write a page of the shipped clips; a clip that several panels show is in it once."""
    clips = list(read_clips(CLIPS))
    motions = [Motion(sequence=clip.sequence, layout=clip.layout, fps=clip.fps) for clip in clips]
    rows = []
    for query in range(queries):
        shown = [(7 * query + place) % len(clips) for place in range(near + 1)]
        panels = [
            MotionPanel(title=clips[each].label or "", subtitle=clips[each].name, motion=motions[each], similarity=0.9)
            for each in shown
        ]
        rows.append(MotionRow(query=panels[0], neighbours=panels[1:]))
    path = folder / f"{queries}x{near}.html"
    write_motion_page(path, rows, title="Neighbours")
    return path


def first_picture_ms(browser: Browser, page: Path) -> float | None:
    """Milliseconds from the begin of loading; None if it takes longer than `LONGEST_S`."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        context.add_init_script(WATCH)
        shown = context.new_page()
        shown.goto(page.resolve().as_uri())
        shown.wait_for_function("() => window.firstPicture > 0", timeout=1000 * LONGEST_S)
        return shown.evaluate("window.firstPicture")
    except TimeoutError:
        return None
    finally:
        context.close()


if __name__ == "__main__":
    main()
