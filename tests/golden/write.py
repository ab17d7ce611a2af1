"""Write files in this release's formats, and what must be read from them, into a new folder.

    python -m tests.golden.write FOLDER

Run this once when a format has changed. Move the new files beside those that are here, and never change them.
README.md says what they hold.
"""

import hashlib
import json
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from gfp_serve.bundle import FORMAT_VERSION as BUNDLE_FORMAT
from gfp_serve.bundle import Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.gallery.care.backup import create_snapshot, snapshot_file
from gfp_serve.gallery.embedded.derived_check import FORMAT_VERSION as DERIVED_FORMAT
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.lock import LOCK_FILE
from gfp_serve.gallery.embedded.schema import FORMAT_VERSION as GALLERY_FORMAT
from gfp_serve.gallery.embedded.schema import FORMAT_WITHOUT_MOTIONS
from gfp_serve.items import Effort, IndexKind, Item, Source
from gfp_serve.kept_motion import KeptMotion, motion_of
from gfp_serve.layouts import KINECT20, NTU25
from gfp_serve.preprocess import CleanConfig, PreprocessConfig, clean
from trainer.checkpoint import FORMAT_VERSION as CHECKPOINT_FORMAT
from trainer.checkpoint import Checkpoint
from trainer.cli.data import gfp_data
from trainer.cli.export import gfp_export
from trainer.config import TrainConfig
from trainer.data.store import FORMAT_VERSION as STORE_FORMAT
from trainer.data.store import ClipStore
from trainer.encoders.transformer import TransformerConfig
from trainer.loop import StepReport, Trainer
from trainer.objectives.gfp import GfpConfig

INDEX_KINDS: tuple[IndexKind, ...] = ("hnsw", "ivf_sq8", "ivf_pq")  # gallery-format-2 has files without an index
DIGEST = "5e" * 32
# Raise this when a server keeps something in another form: a setting, a folder, a file.
RELEASE = "0.1"
NUM_ITEMS = 1000  # the fewest items for which an index is made
NUM_LATE = 5
# A small run. It leaves out the global level, whose weights alone would take a megabyte.
CONFIG = TrainConfig(
    encoder=TransformerConfig(width=8, depth=1, num_heads=2),
    objective=GfpConfig(levels="short", local_width=4),
    epochs=2,
    batch_clips=2,
    warmup_epochs=1,
    log_every_steps=1,
    device="cpu",
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True)
    torch.set_num_threads(1)
    for kind in INDEX_KINDS:
        write_gallery(folder / f"gallery-format-{FORMAT_WITHOUT_MOTIONS}-derived-{DERIVED_FORMAT}-{kind}", kind)
    write_motions(folder / f"gallery-format-{GALLERY_FORMAT}")
    recording = folder / "recording.npz"
    write_clip_file(recording, clips())
    trained = folder / "trained"
    import_clips(trained, recording)
    checkpoint = folder / f"checkpoint-format-{CHECKPOINT_FORMAT}.pt"
    write_checkpoint(checkpoint, trained)
    shutil.rmtree(trained)
    write_bundle(folder / f"bundle-format-{BUNDLE_FORMAT}", checkpoint, recording)
    write_served(folder / f"served-{RELEASE}", folder / f"bundle-format-{BUNDLE_FORMAT}")
    gap = folder / "gap.npz"
    write_clip_file(gap, [clip_with_gap()])
    write_store(folder / f"store-format-{STORE_FORMAT}", recording, gap)
    recording.unlink()
    gap.unlink()


def write_gallery(folder: Path, kind: IndexKind) -> None:
    """Write a thousand items; then, in the database only, remove item 7, replace item 8, and add five more."""
    with FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=4, index_kind=kind) as gallery:
        gallery.upsert([item(n) for n in range(NUM_ITEMS)])
        gallery.settle()
        assert gallery.describe().serving_kind == kind
    with FaissGallery.open(folder) as gallery:
        gallery.delete(["7"])
        gallery.upsert([Item("8", item(8).vector, "ersetzt")])
        gallery.upsert([item(NUM_ITEMS + n) for n in range(NUM_LATE)])
        expect(
            folder,
            generation=gallery.generation,
            num_items=len(gallery),
            label_counts=gallery.label_counts(),
            exact=answers(gallery, Effort(exact=True)),
            by_index=answers(gallery, Effort()),
        )
    (folder / LOCK_FILE).unlink()


def write_motions(folder: Path) -> None:
    """Write ten items, of which the first eight have motions; then replace item 2 and remove item 3."""
    motions = {str(n): motion for n, clip in enumerate(clips()) if (motion := motion_of_clip(clip, fps=25.0 + n))}
    with FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=4) as gallery:
        gallery.upsert([replace(item(n), motion=motions.get(str(n))) for n in range(10)])
        gallery.upsert([replace(item(2), label="ersetzt", motion=motions["0"])])
        gallery.delete(["3"])
        expect(
            folder,
            generation=gallery.generation,
            ids=[each.id for each in gallery.items()],
            motions={each.id: facts(each.motion) for each in gallery.items(with_motions=True) if each.motion},
        )
    (folder / LOCK_FILE).unlink()


def motion_of_clip(clip: Clip, fps: float) -> KeptMotion | None:
    cleaned = clean(clip.sequence, clip.layout, CleanConfig())
    return motion_of(cleaned.positions, cleaned.known, fps)


def facts(motion: KeptMotion) -> dict[str, Any]:
    """Return what a motion must be read as: its coordinates in millimetres, as a digest."""
    steps = np.rint(np.nan_to_num(motion.positions.astype(np.float64), nan=1e6) * 1000).astype("<i8")
    return {
        "shape": list(motion.positions.shape),
        "frame_numbers": motion.frame_numbers.tolist(),
        "fps": motion.fps,
        "millimetres_sha256": hashlib.sha256(steps.tobytes()).hexdigest(),
    }


def item(n: int) -> Item:
    """Return item n. Its id is n. Every third item has a label, every fifth attributes, every seventh a source."""
    vector = np.random.default_rng(n).standard_normal(4).astype(np.float32)
    return Item(
        str(n),
        vector / np.linalg.norm(vector),
        ("gehen", "歩く")[n % 2] if n % 3 == 0 else "",
        {"take": n, "left": n % 2 == 0, "tags": ["a", "ä"]} if n % 5 == 0 else {},
        Source("Aufnahme ä.npz", n / 2, n / 2 + 1) if n % 7 == 0 else None,
    )


def answers(gallery: FaissGallery, effort: Effort) -> list[list[tuple[str, float]]]:
    queries = np.stack([item(10_000 + n).vector for n in range(5)])
    return [
        [(each.id, round(each.similarity, 6)) for each in found]
        for found in gallery.search(queries, top_k=5, effort=effort)
    ]


def clips() -> list[Clip]:
    """Make eight short clips of two classes. The second and the sixth show two people; the last two are test clips."""
    made = []
    for number in range(8):
        draw = np.random.default_rng(number)
        bodies, frames = (2 if number % 4 == 1 else 1), 8 + number
        rest = draw.normal(0, 0.3, (1, bodies, 25, 3))
        rest[..., [0, 1, 20], :] = [(0, 0, 2), (0, 0.25, 2), (0, 0.5, 2)]  # spine base, middle and shoulder
        rest[..., [12, 16], :] = [(-0.1, 0, 2), (0.1, 0, 2)]  # hips
        rest[..., 0] += np.arange(bodies)[:, None]
        swing = draw.normal(0, 0.1, (1, bodies, 25, 3)) * (np.arange(25) > 3)[:, None]
        phase = np.linspace(0, draw.uniform(3, 9), frames)[:, None, None, None]
        sequence = (rest + np.sin(phase) * swing).astype(np.float32)
        made.append(
            Clip(
                name=f"Gang {number}",
                sequence=sequence,
                layout=NTU25,
                fps=30.0,
                label=("gehen", "歩く")[number % 2],
                subject=f"p{number // 2}",
                camera=number % 3,
                split=int(number >= 6),
            )
        )
    return made


def clip_with_gap() -> Clip:
    """Make a clip of 30 frames of the first Kinect, which has no fingers. Its left hand is lost in frames 5 to 24."""
    draw = np.random.default_rng(9)
    sequence = np.tile(draw.normal(0, 0.3, (20, 3)), (30, 1, 1, 1)) + draw.normal(0, 0.01, (30, 1, 20, 3))
    sequence[5:25, 0, KINECT20.joint_names.index("HandLeft")] = np.nan
    return Clip(name="Lücke", sequence=sequence.astype(np.float32), layout=KINECT20, fps=30.0, subject="p9", split=0)


def import_clips(folder: Path, *recordings: Path) -> None:
    licence = "recording=CC0-1.0"
    run(gfp_data, "import", *recordings, "--out", folder, "--licence", licence, "--scale-torso", "--num-workers", 1)


def write_store(folder: Path, *recordings: Path) -> None:
    import_clips(folder, *recordings)
    store = ClipStore.open(folder)
    store.verify()
    expect(
        folder,
        content_sha256=store.content_digest,
        preprocess_digest=PreprocessConfig(cleaning=store.cleaning).digest,
        names=store.names.tolist(),
        subjects=store.subjects.tolist(),
        class_names=store.class_names,
        labels=store.labels.tolist(),
        splits=store.splits.tolist(),
        cameras=store.cameras.tolist(),
        num_frames=store.num_frames.tolist(),
        num_bodies=store.num_bodies.tolist(),
        positions_sha256=hashlib.sha256(store.rows.tobytes()).hexdigest(),
        joints=store.joints.tolist(),
        lacking=None if (lacking := store.lacking_rows()) is None else np.argwhere(lacking).tolist(),
    )


def write_checkpoint(file: Path, store_folder: Path) -> None:
    """Write a run that was stopped in the middle. The rest of the run is expected to reach the same losses."""
    store = ClipStore.open(store_folder)
    losses: dict[int, float] = {}

    def stop_after(last: int) -> Callable[[StepReport], None]:
        def show(now: StepReport) -> None:
            losses[now.step] = now.metrics["loss"]
            if now.step == last:
                signal.raise_signal(signal.SIGTERM)

        return show

    run = file.with_suffix(".run")
    total = Trainer(CONFIG, store, run).total_steps
    Trainer(CONFIG, store, run).fit(stop_after(total // 2))
    (run / "checkpoint.pt").rename(file)
    saved = Checkpoint.read(file)
    Trainer(saved.config, store, run, resume=saved).fit(stop_after(total))
    expect(
        file,
        step=saved.step,
        preprocess_digest=saved.preprocess.digest,
        content_sha256=saved.data["content_sha256"],
        encoder={name: float(weight.double().sum()) for name, weight in saved.encoder.items()},
        losses=[losses[step] for step in range(total // 2 + 1, total + 1)],
        encoder_afterwards={
            name: float(weight.double().sum()) for name, weight in Checkpoint.read(run).encoder.items()
        },
    )
    for left in run.iterdir():
        left.unlink()
    run.rmdir()


def write_bundle(folder: Path, checkpoint: Path, recording: Path) -> None:
    run(gfp_export, checkpoint, "--out", folder, "--clips", recording, "--name", "golden")
    bundle = Bundle.read(folder)
    bundle.check(Encoder(bundle, device="cpu").encode)
    expect(
        folder,
        encoder_digest=bundle.manifest.encoder_digest,
        preprocess_digest=bundle.manifest.preprocess.digest,
        embedding_size=bundle.manifest.embedding_size,
        step=bundle.manifest.step,
        canonical=[
            {"frames": len(clip.sequence), "bodies": clip.sequence.shape[1], "embedding": clip.embedding.tolist()}
            for clip in bundle.canonical
        ],
    )


def write_served(folder: Path, bundle_folder: Path) -> None:
    """Write what an operator keeps of a server with this bundle: galleries, snapshots, tokens, settings."""
    bundle = Bundle.read(bundle_folder)
    manifest = bundle.manifest
    items = [
        Item(
            f"recording/Gang {n}",
            clip.embedding,
            ("gehen", "歩く")[n % 2],
            {"subject": f"p{n}", "camera": float(n)},
            Source("recording/Gang", n, n + 1) if n % 2 else None,
        )
        for n, clip in enumerate(bundle.canonical)
    ]
    root = folder / "galleries"
    with closing(
        FolderGalleries(root, encoder_digest=manifest.encoder_digest, embedding_size=manifest.embedding_size)
    ) as galleries:
        galleries[""].upsert(items)
        galleries.create("people", index_kind="hnsw").upsert(items[:1])
        create_snapshot(root / "default", snapshot_file(root, "default", "monday"))
        galleries[""].delete([items[0].id])
        galleries[""].upsert([Item("later", items[0].vector)])
        expect(
            folder,
            encoder_digest=manifest.encoder_digest,
            num_items={name: len(galleries[name]) for name in galleries.encoder_digests()},
            items=[[each.id, each.label, dict(each.attributes)] for each in galleries[""].items()],
            snapshot_items=[each.id for each in items],
        )
    for lock in root.glob(f"*/{LOCK_FILE}"):
        lock.unlink()
    (folder / "tokens").write_text("# of the tests\nread reads-and-no-more\nwrite writes-and-reads-too\n")
    (folder / "gfp-serve.toml").write_text('gallery = "galleries"\ntokens = "tokens"\nmax_calls = 100\nport = 0\n')


def run(command: click.Command, *arguments: object) -> None:
    command.main([*map(str, arguments)], standalone_mode=False)


def expect(path: Path, **values: Any) -> None:
    """Write what must be read from a file or folder beside it."""
    path.with_name(f"{path.name}.json").write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
