"""Show what `gfp-train --init` gains from a few labelled clips of each class, on a set that the start never saw.

    python benchmarks/adapt.py START CLIPS.npz --work WORK

Of the people of CLIPS, in the order of their names, the first, third, fifth ... give five clips of each class: the
gallery, and all that is learned from. The clips of the others are the queries. 1-NN in percent for each draw of the
five: pose statistics, START (a run, or a bundle), and START adapted. It is up to you that START saw none of the clips.
"""

import json
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import click
import numpy as np
import torch
from jaxtyping import Int

sys.path.insert(0, str(Path(__file__).parents[1]))
from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.files import write_whole
from gfp_serve.formats import Clip, read_clips
from gfp_serve.preprocess import CleanConfig, clean
from trainer.data.store import ClipStore
from trainer.data.store_writer import StoreWriter
from trainer.evaluate.candidates import POSE_STATISTICS, TRAINED, candidates
from trainer.evaluate.embeddings import embed_store
from trainer.loop import Trainer
from trainer.start import adapting, read_start

REPORT = Path("benchmarks/adapt.json")


@click.command(help=__doc__)
@click.argument("start", type=click.Path(path_type=Path))
@click.argument("file", metavar="CLIPS", type=click.Path(path_type=Path, exists=True))
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of stores and runs.")
@click.option("--clips-a-class", default=5, show_default=True)
@click.option("--draws", default=3, show_default=True)
@click.option("--queries", "most_queries", default=400, show_default=True, help="Queries, at most; drawn at random.")
@click.option("--threads", default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
def main(
    start: Path, file: Path, work: Path, clips_a_class: int, draws: int, most_queries: int, threads: int, out: Path
) -> None:
    torch.set_num_threads(threads)
    cleaning = read_start(start).preprocess.cleaning
    clips = [clip for clip in read_clips(file) if clip.label is not None]
    whole = _store(work / f"{file.stem}-all", clips, cleaning)
    report = json.loads(out.read_text()) if out.exists() else {}
    rows = []
    for draw in range(draws):
        numbers = np.random.default_rng(draw)
        gallery, queries = _sides(whole, clips_a_class, most_queries, numbers)
        known = {f"{clip.name}": clip for clip in clips}
        few = [known[str(whole.names[index]).split("/", 1)[1]] for index in gallery]
        training = _store(work / f"{file.stem}-{draw}", few, cleaning)
        began = time.perf_counter()
        run = work / f"{start.name}-{file.stem}-{draw}"
        _adapt(start, training, run)
        seconds = time.perf_counter() - began
        rows.append(_percent(start, run, whole, gallery, queries) | {"seconds": seconds})
        click.echo(f"draw {draw}: {rows[-1]}")
    means = {name: mean(row[name] for row in rows) for name in rows[0]}
    report[f"{file.stem} from {start.name}"] = {
        "clips_a_class": clips_a_class,
        "queries": len(queries),
        "draws": rows,
        "means": means,
    }
    write_whole(out, json.dumps(report, indent=1) + "\n")
    click.echo(f"means: { {name: round(value, 1) for name, value in means.items()} }")


def _store(path: Path, clips: list[Clip], cleaning: CleanConfig) -> ClipStore:
    with StoreWriter(path, cleaning, overwrite=True) as writer:
        writer.add_source("clips", sha256="0" * 64)
        for clip in clips:
            try:
                cleaned = clean(clip.sequence, clip.layout, cleaning)
            except InvalidSkeletonError as error:
                click.echo(f"{clip.name} is left out: {error}", err=True)
                continue
            writer.add(
                cleaned,
                source="clips",
                name=clip.name,
                label=clip.label,
                subject=clip.subject,
                camera=0,
                split=0,
                fps=clip.fps,
            )
    return ClipStore.open(path)


def _sides(
    store: ClipStore, clips_a_class: int, most_queries: int, numbers: np.random.Generator
) -> tuple[Int[np.ndarray, " gallery"], Int[np.ndarray, " queries"]]:
    people = np.unique(store.subjects)
    of_gallery = np.isin(store.subjects, people[::2])
    by_class: dict[int, list[int]] = defaultdict(list)
    for index in np.flatnonzero(of_gallery).tolist():
        by_class[int(store.labels[index])].append(index)
    gallery = [numbers.choice(own, min(clips_a_class, len(own)), replace=False) for _, own in sorted(by_class.items())]
    queries = np.flatnonzero(~of_gallery & np.isin(store.labels, list(by_class)))
    queries = np.sort(numbers.choice(queries, min(most_queries, len(queries)), replace=False))
    return np.concatenate(gallery), queries


def _adapt(start: Path, training: ClipStore, run: Path) -> None:
    begun = read_start(start)
    config = replace(adapting(begun.config, len(training)), num_threads=torch.get_num_threads(), device="cpu")
    Trainer(config, training, run, start=begun).fit()


def _percent(
    start: Path, run: Path, store: ClipStore, gallery: Int[np.ndarray, " g"], queries: Int[np.ndarray, " q"]
) -> dict[str, Any]:
    found = {}
    for path, name in ((start, "as it was"), (run, "adapted")):
        for each in candidates(path, "cpu", None):
            if each.name == TRAINED or (each.name == POSE_STATISTICS and path is start):
                theirs, ours = (
                    embed_store(each.embed, store, each.preprocess.sampling, index) for index in (gallery, queries)
                )
                nearest = gallery[(ours @ theirs.T).argmax(axis=1)]
                right = store.labels[nearest] == store.labels[queries]
                found[POSE_STATISTICS if each.name == POSE_STATISTICS else name] = 100 * float(right.mean())
    return found


if __name__ == "__main__":
    main()
