"""Any number of vectors that are distributed like an encoder's: a mixture fitted to embeddings of real clips."""

from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

from gfp_serve.bundle import Bundle
from gfp_serve.config import SHIPPED_BUNDLES
from gfp_serve.encoder import Encoder
from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.formats import find_files, read_clips
from gfp_serve.preprocess import prepare

# Lengths of windows and the steps between them, in frames: actions of different lengths at different moments.
_WINDOWS = ((40, 8), (80, 16), (160, 32))
_CLUSTERS = 64
_SAMPLES_AT_ONCE = 65536


def real_embeddings(clips: Path) -> np.ndarray:
    """Unit vectors [windows, embedding_size] of windows of all clips in a folder, from the shipped bundle."""
    bundle = Bundle.read(SHIPPED_BUNDLES / "pose-statistics")
    encoder = Encoder(bundle, device="cpu")
    vectors = []
    for file in find_files(clips):
        for clip in read_clips(file):
            for length, stride in _WINDOWS:
                for start in range(0, max(1, len(clip.sequence) - length + 1), stride):
                    try:
                        window = prepare(clip.sequence[start : start + length], clip.layout, bundle.manifest.preprocess)
                    except InvalidSkeletonError:
                        continue
                    vectors.append(encoder.encode(window[None])[0])
    return np.stack(vectors)


class Mixture:
    """Gaussians around the centres of real embeddings, in their first principal axes, each with its own covariance."""

    def __init__(self, embeddings: np.ndarray, size: int, *, seed: int = 0) -> None:
        self._draw = np.random.default_rng(seed)
        mean = embeddings.mean(0)
        _, _, axes = np.linalg.svd(embeddings - mean, full_matrices=False)
        # The mean is kept: cosines of real embeddings are high, because they share a direction.
        axes = np.concatenate([mean[None] / np.linalg.norm(mean), axes])[:size]
        axes, _ = np.linalg.qr(axes.T)
        points = embeddings @ axes
        if points.shape[1] < size:
            points = np.pad(points, ((0, 0), (0, size - points.shape[1])))
        of_cluster = KMeans(_CLUSTERS, n_init=1, random_state=seed).fit_predict(points)
        sizes = np.bincount(of_cluster, minlength=_CLUSTERS)
        self._shares = sizes / sizes.sum()
        self._means, self._roots = [], []
        overall = np.cov(points.T)
        for cluster in range(_CLUSTERS):
            ours = points[of_cluster == cluster]
            self._means.append(ours.mean(0))
            # Few windows span few directions. A little of the overall covariance fills the others.
            own = np.cov(ours.T) if len(ours) > 1 else np.zeros_like(overall)
            values, vectors = np.linalg.eigh(own + 0.02 * overall)
            self._roots.append((vectors * np.sqrt(np.maximum(values, 0))).T)

    def sample(self, number: int) -> np.ndarray:
        """Unit vectors [number, size], float32."""
        found = []
        for start in range(0, number, _SAMPLES_AT_ONCE):
            of_cluster = self._draw.choice(_CLUSTERS, min(_SAMPLES_AT_ONCE, number - start), p=self._shares)
            part = np.empty((len(of_cluster), len(self._means[0])), dtype=np.float32)
            for cluster in np.unique(of_cluster):
                ours = of_cluster == cluster
                noise = self._draw.standard_normal((int(ours.sum()), part.shape[1]))
                part[ours] = self._means[cluster] + noise @ self._roots[cluster]
            found.append(part / np.linalg.norm(part, axis=1, keepdims=True))
        return np.concatenate(found)
