"""Opening a gallery in a process of its own, and the memory that it takes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.galleries.made import folder_of, gallery_of

_OPEN = """
import json, sys, time
from pathlib import Path
import numpy as np
from gfp_serve.gallery.embedded.gallery import FaissGallery

def memory():
    lines = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]]
    return {words[0][:-1]: int(words[1]) / 1e3 for words in lines}

queries = np.load(sys.argv[2])
before = memory()
started = time.perf_counter()
gallery = FaissGallery.open(Path(sys.argv[1]))
opened = time.perf_counter() - started
for query in queries:
    gallery.search(query[None], top_k=10)
after = memory()
print(json.dumps({
    "open_s": opened,
    "resident_mb": after["Rss"] - before["Rss"],
    "anonymous_mb": after["Anonymous"] - before["Anonymous"],
}))
gallery.close()
"""


def measure_opening(work: Path, vectors: np.ndarray, queries: Path, kind: str, rounds: int) -> dict[str, float]:
    """Seconds of opening, and of reading the same bytes; and memory after these queries, which are in a file."""
    with gallery_of(work, vectors, kind) as gallery:
        index = gallery._settler.view.index
        kind_bytes = (0 if index is None else index.num_bytes) + (
            0 if gallery.describe().serving_kind.startswith("ivf") else vectors.nbytes
        )
    folder = folder_of(work, len(vectors), kind) / "gallery"
    opened: list[dict[str, float]] = []
    reads: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        num_bytes = sum(len(file.read_bytes()) for file in folder.glob("derived.*/*"))
        reads.append(time.perf_counter() - started)
        child = subprocess.run(
            [sys.executable, "-c", _OPEN, str(folder), str(queries)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        opened.append(json.loads(child.stdout))
    facts = {name: median(each[name] for each in opened) for name in opened[0]}
    facts |= {"read_s": median(reads), "file_mb": num_bytes / 1e6, "index_kind_mb": kind_bytes / 1e6}
    facts["open_of_read"] = facts["open_s"] / facts["read_s"]
    facts["memory_of_index_kind"] = facts["resident_mb"] / facts["index_kind_mb"]
    facts["memory_of_index_kind_unshared"] = facts["anonymous_mb"] / facts["index_kind_mb"]
    return facts
