"""Galleries of vectors that are distributed like real embeddings. They are made once and kept."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.galleries.vectors import Mixture, real_embeddings
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Item

SIZE = 256
NUM_QUERIES = 1000
TOP_K = 10


def vectors_of(work: Path, clips: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """This many vectors, and queries that are not among them. They are made once."""
    work.mkdir(parents=True, exist_ok=True)
    file = work / f"vectors-{number}.npy"
    if not file.exists():
        embeddings = work / "embeddings.npy"
        if not embeddings.exists():
            np.save(embeddings, real_embeddings(clips))
        np.save(file, Mixture(np.load(embeddings), SIZE).sample(number + NUM_QUERIES))
    vectors = np.load(file, mmap_mode="r")
    return np.ascontiguousarray(vectors[:number]), np.ascontiguousarray(vectors[number:])


def folder_of(work: Path, number: int, kind: str) -> Path:
    return work / f"gallery-{number}-{kind}"


def gallery_of(work: Path, vectors: np.ndarray, kind: str) -> FaissGallery:
    """A gallery of these vectors with its index. It is kept; made.json says how many seconds it took."""
    folder = folder_of(work, len(vectors), kind)
    if not (folder / "made.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        started = time.perf_counter()
        with FaissGallery.create(
            folder / "gallery",
            encoder_digest="5e" * 32,
            embedding_size=SIZE,
            index_kind=kind,  # type: ignore[arg-type]
        ) as gallery:
            for start in range(0, len(vectors), 4096):
                part = vectors[start : start + 4096]
                gallery.upsert(
                    [
                        Item(f"i{row}", vector, f"label-{row % 60}", {"half": float(row % 2)})
                        for row, vector in enumerate(part, start)
                    ]
                )
            upserted = time.perf_counter()
            gallery.settle()
            made = {"upsert_s": upserted - started, "index_s": time.perf_counter() - upserted}
        (folder / "made.json").write_text(json.dumps(made))
    return FaissGallery.open(folder / "gallery")


def exact_of(vectors: np.ndarray, queries: np.ndarray) -> Any:
    flat = faiss.IndexFlatIP(SIZE)
    flat.add(vectors)
    return flat.search(queries, TOP_K)


def recall(found: list[Any], true: np.ndarray) -> float:
    shares = [
        len({int(neighbour.id[1:]) for neighbour in ours} & set(theirs)) / TOP_K
        for ours, theirs in zip(found, true.tolist(), strict=True)
    ]
    return float(np.mean(shares))
