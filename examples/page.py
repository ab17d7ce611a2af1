"""The page of a server in the browser: the gallery of the demo, or if it has not run, one of the shipped clips.

Run it with `make page`. Ctrl-C stops the server.
"""

import os
import sys
import webbrowser
from pathlib import Path

import numpy as np
from rich.console import Console
from serving import serving

from gfp_serve.client import Client, ClipItem
from gfp_serve.formats import find_files, read_clips

CLIPS = Path(__file__).parent / "clips"
DEMO = Path("runs/demo")
OWN = Path("runs/page/gallery")
PORT = int(os.environ.get("GFP_HTTP_PORT", "8080"))

console = Console(highlight=False, soft_wrap=True)


def main() -> None:
    has_demo = (DEMO / "gallery").exists() and (DEMO / "bundle").exists()
    bundle, gallery = (str(DEMO / "bundle"), DEMO / "gallery") if has_demo else ("general-features", OWN)
    with serving(bundle, gallery=gallery, http_port=PORT) as address:
        with Client(address) as client:
            if client.info().num_items == 0:
                fill(client)
        page = f"http://127.0.0.1:{PORT}"
        console.print(f"\nThe page: [bold]{page}[/bold]   (Ctrl-C stops the server)")
        if "--no-browser" not in sys.argv:
            webbrowser.open(page)
        while True:
            input()


def fill(client: Client) -> None:
    """Put the shipped clips into the gallery."""
    for file in find_files(CLIPS):
        clips = [clip for clip in read_clips(file) if np.nan_to_num(clip.sequence).any()]
        client.upsert(
            ClipItem(
                f"{file.stem}/{clip.name}",
                clip.sequence,
                clip.label or "",
                {"subject": clip.subject},
                clip.layout.name,
                fps=clip.fps,
            )
            for clip in clips
        )


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, EOFError):
        sys.exit("Stopped.")
