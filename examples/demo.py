"""All steps on the clips of this folder: import, train, adapt, evaluate, export, serve, fill the gallery, search it.

Run it with `make demo`. Every step but the last is a command that a user would type. It is printed before it runs.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from serving import serving

from gfp_serve.client import Classification, Client, ClipItem
from gfp_serve.extras import missing
from gfp_serve.formats import Clip, find_files, read_clips
from gfp_serve.items import Neighbour
from gfp_serve.motion_page import Motion, MotionPanel, MotionRow, write_motion_page
from gfp_serve.neighbour_page import found_panel

try:
    from trainer.figures import Strip, draw_strips
except ModuleNotFoundError:
    # The commands below need the whole extra `train`; torch stands for it.
    sys.exit(f"Error: {missing(ModuleNotFoundError(name='torch'))}")

# Where other programs keep the cores busy, threads that spin while they wait make training many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

CLIPS = Path(__file__).parent / "clips"
RUN = Path("runs/demo")
# The clips of these four people are the queries. Those of the other eight, and the CMU clips, go into the gallery.
ASKING = ("precog/3", "precog/6", "precog/9", "precog/12")

console = Console()


@dataclass(frozen=True)
class Answer:
    """The server's answer to one query."""

    name: str
    clip: Clip
    neighbours: list[Neighbour]  # the five nearest, nearest first
    voted: Classification


def main() -> None:
    started = time.perf_counter()
    console.rule("1. Import the shipped clips")
    licences = ("precog=MIT", "cmu_sample=free to use, copy and redistribute; cite mocap.cs.cmu.edu")
    run(
        *("gfp-data", "import", CLIPS, "--out", RUN / "store", "--overwrite"),
        *(word for subject in ASKING for word in ("--test-subject", subject)),
        *(word for licence in licences for word in ("--licence", licence)),
    )
    console.rule("2. Pre-train GFP on them for a short while, without labels")
    (RUN / "gfp" / "checkpoint.pt").unlink(missing_ok=True)
    run("gfp-train", RUN / "store", "--out", RUN / "gfp", "--preset", "demo", "--frame", "body")
    console.rule("3. Adapt the shipped encoder to their classes")
    (RUN / "adapted" / "checkpoint.pt").unlink(missing_ok=True)
    run("gfp-train", RUN / "store", "--out", RUN / "adapted", "--init", "general-features")
    console.rule("4. Are the encoders any good?")
    for encoder in (RUN / "gfp", "general-features", RUN / "adapted"):
        name = Path(encoder).name
        fit = ("--fit", RUN / "store") if name == "gfp" else ()  # a read-out of its tokens, without labels
        run("gfp-evaluate", "retrieval", encoder, RUN / "store", *fit, "--out", RUN / "evaluation" / name)
    console.rule("5. Export the adapted one")
    run("gfp-export", RUN / "adapted", "--out", RUN / "bundle", "--clips", CLIPS, "--overwrite")
    console.rule("6. Serve it, fill the gallery, ask")
    shutil.rmtree(RUN / "gallery", ignore_errors=True)  # of the encoder of the last run
    with serving(RUN / "bundle", gallery=RUN / "gallery") as address, Client(address) as client:
        items, queries = read_sides()
        for start in track(range(0, len(items), 16), description="add to gallery", console=console, transient=True):
            client.upsert([as_item(name, clip) for name, clip in items[start : start + 16]])
        info = client.info()
        console.print(f"{info.num_items} items in the gallery, embedded by {info.encoder_name} on {info.provider}")
        answers = [Answer(name, clip, *ask(client, clip)) for name, clip in queries]
    one_a_class = list({answer.clip.label: answer for answer in answers}.values())
    show(answers, one_a_class)
    pictures = draw(one_a_class, dict(items))
    page = write_page(one_a_class, dict(items))
    console.print(
        f"\nThis shows that every part works together. With {len(answers)} queries, one is {100 / len(answers):.0f} %. "
        f"It does not show how good GFP is: the published runs see 16 million clips, and this one a few thousand "
        f"windows of {len(items)}. The classes are orders of the same five actions: what people do is "
        f"the same in all of them, and only when differs, which is hard for every embedding here.",
        style="dim",
    )
    console.print(
        f"\nWhole path: {time.perf_counter() - started:.0f} s. Now look at\n"
        f"  [bold]make page[/bold]  the gallery in a browser: its map, and what is near to a clip or video of yours\n"
        f"  [bold]{page}[/bold]  in a browser: queries and their neighbours as moving skeletons\n"
        f"  [bold]{pictures[0]}[/bold]  one of {len(pictures)} pictures of a query above its nearest neighbour\n"
        f"  {RUN / 'adapted' / 'losses.png'}  the loss curves\n"
        f"  {RUN / 'evaluation'}/  confusion matrices, and maps of the embeddings",
        highlight=False,
        soft_wrap=True,
    )


def run(*words: object) -> None:
    """Run one of the project's commands, after showing it."""
    command = [str(word) for word in words]
    console.print(
        f"$ {' '.join(f'{word!r}' if ' ' in word or ';' in word else word for word in command)}",
        style="bold",
        highlight=False,
        soft_wrap=True,  # so that it can be copied
    )
    process = subprocess.Popen([Path(sys.executable).parent / command[0], *command[1:]])
    try:
        code = process.wait()
    except KeyboardInterrupt:
        # The command got the same Ctrl-C. Wait for it: if it were killed, it would leave the terminal without a cursor.
        process.wait()
        raise
    if code:
        raise subprocess.CalledProcessError(code, command)


def read_sides() -> tuple[list[tuple[str, Clip]], list[tuple[str, Clip]]]:
    """The clips for the gallery, and the queries. Clips that show nobody are left out of both."""
    items, queries = [], []
    for file in find_files(CLIPS):
        for clip in read_clips(file):
            if np.nan_to_num(clip.sequence).any():
                side = queries if f"{file.stem}/{clip.subject}" in ASKING else items
                side.append((f"{file.stem}/{clip.name}", clip))
    return items, queries


def as_item(name: str, clip: Clip) -> ClipItem:
    return ClipItem(name, clip.sequence, clip.label or "", {"subject": clip.subject}, clip.layout.name, fps=clip.fps)


def ask(client: Client, clip: Clip) -> tuple[list[Neighbour], Classification]:
    """Return the five nearest items, and the class that they vote for."""
    return (
        client.search(clip.sequence, top_k=5, layout=clip.layout.name),
        client.classify(clip.sequence, num_neighbours=5, layout=clip.layout.name),
    )


def show(answers: list[Answer], shown: list[Answer]) -> None:
    table = Table(
        "query", "its class", "five nearest", "voted class", title="Queries by people who are not in the gallery"
    )
    for answer in shown:
        near = "\n".join(f"{n.similarity:.3f}  {n.label}  [dim]{n.id}[/dim]" for n in answer.neighbours)
        style = "green" if answer.voted.label == answer.clip.label else "red"
        table.add_row(
            answer.name, answer.clip.label, near, f"[{style}]{answer.voted.label}[/{style}]", end_section=True
        )
    console.print(table)
    for what, right in (
        ("the nearest item has the query's class for", [a.neighbours[0].label == a.clip.label for a in answers]),
        ("the vote of the five nearest names it for", [a.voted.label == a.clip.label for a in answers]),
    ):
        share = 100 * sum(right) / len(answers)
        console.print(f"All {len(answers)} queries through the server: {what} {sum(right)} ({share:.1f} %).")


def draw(shown: list[Answer], items: dict[str, Clip]) -> list[Path]:
    """Draw a picture for each query: its poses over time, and below them those of its nearest neighbour."""
    folder = RUN / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for answer in track(shown, description="draw", console=console, transient=True):
        clip, nearest = answer.clip, answer.neighbours[0]
        found = items[nearest.id]
        strips = [
            Strip(
                title=f"query: {clip.label}  ({answer.name})", sequence=clip.sequence, layout=clip.layout, fps=clip.fps
            ),
            Strip(
                title=f"nearest: {nearest.label}  ({nearest.id}, similarity {nearest.similarity:.3f})",
                sequence=found.sequence,
                layout=found.layout,
                fps=found.fps,
                right=nearest.label == clip.label,
            ),
        ]
        paths.append(folder / f"{answer.name.replace('/', '-')}.png")
        draw_strips(strips).savefig(paths[-1], dpi=110)
    return paths


def write_page(shown: list[Answer], items: dict[str, Clip]) -> Path:
    """Write a web page that shows each query beside its five nearest neighbours, all moving."""
    nearest = {neighbour.id for answer in shown for neighbour in answer.neighbours}
    motions = {name: motion(items[name]) for name in nearest}
    rows = [
        MotionRow(
            query=MotionPanel(
                title=answer.clip.label or "",
                subtitle=answer.name,
                motion=motion(answer.clip),
                right=answer.voted.label == answer.clip.label,
                verdict=f"voted: {answer.voted.label}",
            ),
            neighbours=[found_panel(each, answer.clip.label, motions[each.id]) for each in answer.neighbours],
        )
        for answer in shown
    ]
    path = RUN / "neighbours.html"
    write_motion_page(
        path,
        rows,
        title="Queries and their nearest neighbours",
        note="The people in the queries are not in the gallery. “Voted” is the class that the five nearest vote for.",
    )
    return path


def motion(clip: Clip) -> Motion:
    return Motion(sequence=clip.sequence, layout=clip.layout, fps=clip.fps)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except subprocess.CalledProcessError as failure:
        sys.exit(failure.returncode)
