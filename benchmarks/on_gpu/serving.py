"""What serves on a GPU, where it is installed: the encoder in onnxruntime, and exact and IVF galleries in FAISS."""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.on_gpu.settings import Settings


def encoder(settings: Settings) -> dict[str, Any]:
    """Clips of one body a second by batch size, of the bundle served by default, and how far its vectors differ."""
    from gfp_serve.bundle import Bundle
    from gfp_serve.config import DEFAULT_BUNDLE
    from gfp_serve.encoder import Encoder

    bundle = Bundle.read(DEFAULT_BUNDLE)
    ours = Encoder(bundle, device=settings.device)
    found: dict[str, Any] = {"provider": ours.provider, "canonical_difference": bundle.check(ours.encode)}
    frames = bundle.manifest.preprocess.sampling.num_frames
    for batch in (1, 2) if settings.tiny else (1, 8, 64, 256, 1000):
        clips = np.random.default_rng(0).normal(0, 0.3, (batch, 1, frames, 25, 3)).astype(np.float32)
        took = []
        for _ in range(8):
            start = time.perf_counter()
            ours.encode(clips)
            took.append(time.perf_counter() - start)
        found[f"clips_per_s, {batch} at once"] = batch / median(took[3:])
    return found


def galleries(settings: Settings) -> dict[str, Any]:
    """Queries a second of each kind of gallery, and how many of the neighbours are those that a CPU finds."""
    from gfp_serve.gallery.embedded.gallery import FaissGallery
    from gfp_serve.items import Item

    size, count = 256, 2000 if settings.tiny else 200_000
    draws = np.random.default_rng(0)
    centres = draws.standard_normal((200, size))
    vectors = centres[draws.integers(0, len(centres), count)] + 0.5 * draws.standard_normal((count, size))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    queries = vectors[draws.permutation(count)[:64]] + draws.normal(0, 0.02, (64, size)).astype(np.float32)
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    found: dict[str, Any] = {}
    for kind in ("exact", "ivf_sq8", "ivf_pq"):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "g"
            with FaissGallery.create(place, encoder_digest="0" * 64, embedding_size=size, index_kind=kind) as gallery:
                for start in range(0, count, 10_000):
                    rows = range(start, min(start + 10_000, count))
                    gallery.upsert([Item(str(row), vectors[row]) for row in rows])
                gallery.settle(600)
                expected, on_cpu = _timed(gallery, queries)
            with FaissGallery.open(place, device=settings.device) as gallery:
                ours, on_device = _timed(gallery, queries)
                gallery.delete(["0", "1"])
                _, after_removal = _timed(gallery, queries)
            same = np.mean([len(a & b) / 10 for a, b in zip(ours, expected, strict=True)])
            found[kind] = {
                "queries_per_s_on_the_cpu": on_cpu,
                "queries_per_s": on_device,
                "queries_per_s_after_a_removal": after_removal,
                "same_neighbours": float(same),
            }
    return found


def _timed(gallery: Any, queries: np.ndarray) -> tuple[list[set[str]], float]:
    took = []
    for _ in range(8):
        start = time.perf_counter()
        answers = gallery.search(queries, top_k=10)
        took.append(time.perf_counter() - start)
    return [{neighbour.id for neighbour in answer} for answer in answers], len(queries) / median(took[3:])
