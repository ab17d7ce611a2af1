"""Places in the plane for vectors, those of similar vectors near to each other: a map.

numpy makes one by principal components at once. t-SNE makes a better one, which takes a while and needs scikit-learn.
`python -m gfp_serve.item_map` makes either, in a process of its own (see `own_process`): t-SNE because it is long, and
components because numpy's linear algebra, in as many threads as there are cores, takes a hundred times as long while
something else uses the cores (8 s against 0.1 s, for 861 vectors).
"""

from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

# t-SNE works on this many components: they hold nearly all there is, and it takes far less time.
_COMPONENTS = 50
# With fewer vectors, t-SNE shows nothing more.
FEWEST_FOR_TSNE = 10
# scikit-learn's usual number; there must be more vectors than three times it.
_PERPLEXITY = 30.0
# Of half as many vectors, the map of all is made in half the time, but in 500 steps it is as good as in 1,000.
_STEPS = 500

# Numbers that are compared in one piece, which takes some hundredths of a second.
_AT_ONCE = 2**20
# A new vector is placed among this many of its neighbours.
_NEAREST = 3

# What the process finds in its folder, and leaves there.
GIVEN, MADE = "given.npz", "made.npy"

Places = Float32[np.ndarray, "num_vectors 2"]


def components(
    vectors: Float32[np.ndarray, "num_vectors size"],
) -> Float32[np.ndarray, "num_vectors num_components"]:
    """The principal components of vectors, the first one first, at most 50.

    The sign of each is such that the largest of its weights is positive, so that a map is not mirrored by chance.
    """
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    chosen = directions[:, ::-1][:, :_COMPONENTS].astype(np.float32)
    largest = np.abs(chosen).argmax(axis=0)
    return centred @ (chosen * np.sign(chosen[largest, np.arange(chosen.shape[1])]))


def by_components(found: Float32[np.ndarray, "num_vectors num_components"]) -> Places:
    """The map that the first two components are, fitted into -1 .. 1."""
    places = np.zeros((len(found), 2), dtype=np.float32)
    width = min(2, found.shape[1])
    places[:, :width] = found[:, :width]
    return fitted(places)


def among_known(
    found: Float32[np.ndarray, "num_vectors num_components"], is_known: Bool[np.ndarray, " num_vectors"], places: Places
) -> Generator[None, None, Places]:
    """Return `places` with a place for each vector that is not known: the middle of its nearest known ones' places."""
    placed = places.copy()
    known, known_places = found[is_known], places[is_known]
    lengths = np.square(known).sum(axis=1)
    new = np.flatnonzero(~is_known)
    at_once = max(1, _AT_ONCE // len(known))
    for start in range(0, len(new), at_once):
        rows = new[start : start + at_once]
        distances = lengths - 2 * found[rows] @ known.T
        count = min(_NEAREST, len(known))
        nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        placed[rows] = known_places[nearest].mean(axis=1)
        yield
    return placed


def fitted(places: Float[np.ndarray, "num_vectors 2"]) -> Places:
    """The same picture in the middle of -1 .. 1, as large as it can be."""
    low, high = places.min(axis=0), places.max(axis=0)
    half = float((high - low).max()) / 2
    return ((places - (low + high) / 2) / (half or 1.0)).astype(np.float32)


def has_tsne() -> bool:
    """Whether scikit-learn is installed."""
    return find_spec("sklearn") is not None


def by_tsne(found: Float32[np.ndarray, "num_vectors num_components"], start: Places) -> Places:
    """The map that t-SNE makes of components, beginning with the places `start`; fitted into -1 .. 1.

    Embeddings have length 1, so that the nearest by distance are those of the highest cosine. The same vectors and
    start give the same map. L. van der Maaten, G. Hinton: Visualizing Data using t-SNE, JMLR 9 (2008).
    """
    from sklearn.manifold import TSNE

    # As wide as scikit-learn itself begins: with wider ones, what is far apart stays apart too long.
    begin = start / (float(start.std(axis=0).max()) or 1.0) * 1e-4
    perplexity = min(_PERPLEXITY, (len(found) - 1) / 3)
    made: Any = TSNE(init=begin, perplexity=perplexity, max_iter=_STEPS, random_state=0).fit_transform(found)
    return fitted(made)


def main(folder: Path) -> None:
    """Make `MADE` of `GIVEN`: the map by t-SNE of components and a start, or the components of vectors."""
    with np.load(folder / GIVEN) as given:
        made = by_tsne(given["components"], given["start"]) if "start" in given else components(given["vectors"])
    np.save(folder / MADE, made)


if __name__ == "__main__":
    main(Path())
