"""What a step gives to `trainer.terms`: changed windows of clips, with what is to be learned of each clip."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor
from torch.nn import functional as F

from gfp_serve.preprocess import SampleConfig
from trainer import parallel
from trainer.data.class_draws import ClassDraws, ClassDrawsConfig
from trainer.data.general_views import GeneralViewsConfig, change, draw_moments, draw_turns, mirror, with_other_motion
from trainer.data.model_input import ModelInput, to_device
from trainer.data.store import ClipStore
from trainer.embedding import PoseStatistics
from trainer.general_features import GeneralFeatures
from trainer.schedule import lesson_seed, take
from trainer.terms import Lesson, TermsConfig

_CHUNK_CLIPS = 256
# More clips change the mean of general features little.
_FIT_CLIPS = 2048
# Of the 618 numbers of pose statistics, the directions that are served beside what is learned.
_KEPT_DIRECTIONS = 160
# Of pose statistics of length 1: clips that vary less show one and the same.
_SMALLEST_VARIANCE = 1e-6


class Lessons:
    """Lessons are a function of the step. Of clips with two bodies, the one that moves more is seen.

    With labels, the clips of a step are drawn by source and class (see `class_draws`); without, in passes over all
    clips. With views, each clip is seen twice, by half as many clips. Raises `ValueError` for a store without labels
    if they are to be learned.
    """

    def __init__(
        self,
        store: ClipStore,
        clips: Int[np.ndarray, " clips"],
        sampling: SampleConfig,
        terms: TermsConfig,
        views: GeneralViewsConfig,
        draws: ClassDrawsConfig,
        *,
        num_tokens: int,
        num_clips: int,
        seed: int,
        device: torch.device,
        teacher: Float32[np.ndarray, "2 store_clips size"] | None = None,
    ) -> None:
        self._store, self._clips, self._terms, self._views = store, clips, terms, views
        self._num_tokens, self._num_clips, self._seed, self._device = num_tokens, num_clips, seed, device
        self._input = ModelInput(store, replace(sampling, keep_lacking=True), device)
        self._classes = ClassDraws(store, clips, draws) if terms.label_weight else None
        self._draws = torch.Generator(self._input.place)
        features = _statistics(self._input, clips)
        self.basis = _main_directions(features[0], _KEPT_DIRECTIONS)
        self._taught = self._of_teacher(teacher) if terms.teacher_weight else None
        self._statistics = _main_parts(features, len(store), clips, terms) if terms.statistics_weight else None

    def general_features(self) -> Float[Tensor, "clips size"]:
        """Those of up to `_FIT_CLIPS` clips, unchanged, spread over the store."""
        clips = self._clips[np.linspace(0, len(self._clips) - 1, min(len(self._clips), _FIT_CLIPS)).astype(np.int64)]
        model = GeneralFeatures(areas=self._terms.general_areas).to(self._input.place)
        with torch.no_grad():
            return torch.cat(
                [
                    model(_first_bodies(self._input, clips[start : start + _CHUNK_CLIPS]))
                    for start in range(0, len(clips), _CHUNK_CLIPS)
                ]
            )

    def class_means(
        self, embed: Callable[[Float[Tensor, "clips frames joints 3"]], list[Float[Tensor, "clips size"]]]
    ) -> list[Float[Tensor, "sides size"]]:
        """The means of each kind of vectors that `embed` makes of each class's clips, then of each class's mirrored."""
        classes = self._classes
        if classes is None:
            raise ValueError("labels are not learned, so there are no classes.")
        clips = self._clips[classes.labels[self._clips] >= 0]
        sums: list[Tensor] = []
        with torch.no_grad():
            for start in range(0, len(clips), _CHUNK_CLIPS):
                chosen = clips[start : start + _CHUNK_CLIPS]
                bodies = _first_bodies(self._input, chosen).to(self._device)
                labels = to_device(classes.labels[chosen], self._device)
                kinds = [torch.cat(pair) for pair in zip(embed(bodies), embed(mirror(bodies)), strict=True)]
                sums = sums or [vectors.new_zeros((2 * classes.num_classes, vectors.shape[1])) for vectors in kinds]
                for total, vectors in zip(sums, kinds, strict=True):
                    total.index_add_(0, torch.cat([labels, labels + classes.num_classes]), vectors)
        return [F.normalize(total, dim=1) for total in sums]

    @property
    def never_drawn(self) -> dict[str, int]:
        """By source, the number of clips that no lesson shows, because labels are learned and say nothing of them."""
        return {} if self._classes is None else self._classes.never_drawn

    @property
    def source_of_class(self) -> Int[Tensor, " classes"]:
        """The number of each class's source; empty if labels are not learned."""
        classes = np.zeros(0, dtype=np.int64) if self._classes is None else self._classes.source_of_class
        return torch.from_numpy(classes)

    def of_step(self, step: int) -> Int[np.ndarray, " clips"]:
        """Store indices of the clips of a step, of all processes."""
        count = self._num_clips // 2 if self._terms.view_weight else self._num_clips
        if self._classes is None:
            chosen = self._clips[take(step * count, count, num_clips=len(self._clips), key=(self._seed, 4))]
        else:
            chosen = self._classes.draw(count, np.random.default_rng([self._seed, 4, step]))
        return np.concatenate([chosen, chosen]) if self._terms.view_weight else chosen

    def lesson(self, step: int) -> Lesson:
        """This process's share of a step, on the device."""
        clips = self.of_step(step)
        draws = self._draws
        draws.manual_seed(lesson_seed(step, seed=self._seed))
        length = to_device(self._store.num_frames[clips], self._input.place)
        labels = np.full(len(clips), -1) if self._classes is None else self._classes.labels[clips]
        moments = draw_moments(length, self._input.sampling.num_frames, self._views, draws)
        bodies = self._input.at(clips, moments.in_clip)
        bodies = with_other_motion(bodies, moments, self._may_join(clips, labels), self._views, draws)
        seen = change(bodies, self._views, draws, in_pairs=bool(self._terms.view_weight))
        turns = draw_turns(seen.bodies, self._views, draws)
        uniform = torch.rand((len(clips), self._num_tokens), generator=draws, device=draws.device)
        mine = np.flatnonzero(self._place_of(len(clips)) % parallel.num_processes() == parallel.rank())
        chosen = to_device(mine, self._input.place)
        lesson = Lesson(
            seen.bodies[chosen],
            turns[chosen],
            uniform[chosen],
            to_device(labels[mine], self._input.place),
            seen.mirrored[chosen],
            self._targets(self._statistics, clips[mine], seen.mirrored[chosen]),
            self._targets(self._taught, clips[mine], seen.mirrored[chosen]),
            to_device(self._store.clip_sources[clips[mine]].astype(np.int64), self._input.place),
            to_device(clips[mine], self._input.place),
        )
        return Lesson(*(part.to(self._device, non_blocking=True) for part in lesson))

    def _may_join(
        self, clips: Int[np.ndarray, " clips"], labels: Int[np.ndarray, " clips"]
    ) -> Bool[Tensor, "clips clips"]:
        """Which clips may come before or after each: others of its source, and of another class if it is known."""
        source = self._store.clip_sources[clips]
        is_same_class = (labels[:, None] == labels) & (labels >= 0)
        may = (source[:, None] == source) & (clips[:, None] != clips) & ~is_same_class
        return to_device(may, self._input.place)

    def _place_of(self, count: int) -> Int[np.ndarray, " count"]:
        """A number for each clip, the same for its two windows."""
        places = np.arange(count)
        return places % (count // 2) if self._terms.view_weight else places

    def _targets(
        self,
        of_store: Float[Tensor, "2 store_clips size"] | None,
        clips: Int[np.ndarray, " clips"],
        mirrored: Bool[Tensor, " clips"],
    ) -> Float[Tensor, "clips size"]:
        """What is to be learned of these clips, as they are or mirrored."""
        if of_store is None:
            return torch.zeros((len(clips), 0), device=self._input.place)
        place = to_device(clips, self._input.place)
        return torch.where(mirrored[:, None], of_store[1][place], of_store[0][place])

    def _of_teacher(
        self, vectors: Float32[np.ndarray, "2 store_clips size"] | None
    ) -> Float[Tensor, "2 store_clips embedding"]:
        """A teacher's vectors along as many main directions as the embedding has numbers, of length 1."""
        wanted = self._terms.embedding_size
        if vectors is None:
            raise ValueError(
                "--teacher-weight needs --teacher, which says what to learn; give it, or --teacher-weight 0."
            )
        if wanted > vectors.shape[2]:
            raise ValueError(
                f"--embedding-size is {wanted}; the teacher's vectors have {vectors.shape[2]} numbers, so choose "
                f"that or fewer."
            )
        # On the CPU, and with signs of their own: a resumed run, and each of several processes, must find the same.
        given = torch.from_numpy(vectors)
        directions = _main_directions(given[0, torch.from_numpy(self._clips)], wanted)
        largest = directions.abs().argmax(dim=0, keepdim=True)
        directions = directions * directions.gather(0, largest).sign()
        return F.normalize(given @ directions, dim=2).to(self._input.place)


def _statistics(given: ModelInput, clips: Int[np.ndarray, " clips"]) -> Float[Tensor, "2 clips numbers"]:
    """The pose statistics of each clip, and of each mirrored, of length 1."""
    model = PoseStatistics().to(given.place)
    found = []
    with torch.no_grad():
        for start in range(0, len(clips), _CHUNK_CLIPS):
            bodies = _first_bodies(given, clips[start : start + _CHUNK_CLIPS])
            found.append(F.normalize(torch.stack([model.features(bodies), model.features(mirror(bodies))]), dim=2))
    return torch.cat(found, dim=1)


def _main_directions(features: Float[Tensor, "clips numbers"], kept: int) -> Float[Tensor, "numbers kept"]:
    """The directions that keep most of the cosines between these, which are not centred."""
    products = features.double().T @ features.double()
    return torch.linalg.eigh(products).eigenvectors[:, -kept:].flip(1).float()


def _main_parts(
    features: Float[Tensor, "2 clips numbers"], num_clips: int, clips: Int[np.ndarray, " clips"], terms: TermsConfig
) -> Float[Tensor, "2 num_clips size"]:
    """The same along their principal directions, for each clip of the store; 0 for others.

    One factor scales all of them so that the mean of their variances is 1. A prediction's mean square is then the share
    of the variance that it does not explain. Were each direction scaled to a variance of 1, the many weak ones, which
    are mostly noise, would count as much as the few that tell actions apart.
    """
    mean = features[0].mean(dim=0)
    centred = (features[0] - mean).double()
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(centred))
    kept = terms.statistics_size
    # Clips that are all alike have no variance; what rounding makes of it must not be magnified.
    scale = (kept / variances[-kept:].clamp_min(0).sum().clamp_min(_SMALLEST_VARIANCE)).sqrt()
    parts = (features - mean) @ (directions[:, -kept:] * scale).float()
    of_store = parts.new_zeros((2, num_clips, kept))
    of_store[:, to_device(clips, features.device)] = parts
    return of_store


def _first_bodies(given: ModelInput, clips: Int[np.ndarray, " clips"]) -> Float[Tensor, "clips frames joints 3"]:
    """The body that moves most, of the middle of each clip as it is served."""
    rows = given.clip_of_rows(clips)
    return given.rows(clips, chosen=np.searchsorted(rows, np.arange(len(clips))))
