"""What an encoder may learn beside an objective: from labels, from general features of whole clips, from two views.

These terms look at the embedding, which is what is served: the mean of the tokens of a body, through a linear head; and
beside it, if asked for, what small networks make of general features (`general_features`), one of them with the areas
that joints sweep and one without. Each is a part of its own, and learns by itself.

- *Labels*: clips of a class come together, and apart from other classes of their source. It is the softmax over class
  vectors by cosine (Wang et al. 2017, "NormFace", arXiv 1704.06369), which is supervised contrast (Khosla et al. 2020)
  against the mean of each class. A mirrored clip is of a class of its own, and is not told apart from its unmirrored
  one.
- *Statistics*: the tokens of a changed window predict the pose statistics of the whole clip, unchanged. It is a general
  feature (GFP) that does not have to be learned, cannot collapse, and teaches what changes must not matter.
- *Teacher*: the embedding of a changed window comes near to what another encoder says of the whole clip, unchanged,
  along the main directions of its vectors. So a small encoder takes over what a large one knows (as Hinton et al. 2015,
  arXiv 1503.02531, do with classes). It needs no labels.
- *Views*: two windows of one clip come together, and apart from those of other clips of their source (van den Oord et
  al. 2018, "InfoNCE", arXiv 1807.03748), so that the sensor does not become a short cut. It needs no labels. Beside
  labels, it sees the clips that these draw, and clips of one class are not told apart.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.settings import setting
from trainer.body_frame import bodies_turned
from trainer.encoders import Encoder, MaskableEncoder
from trainer.encoders.transformer import init_weights
from trainer.general_features import NUM_STATISTICS, general_heads
from trainer.learned_head import LearnedHead
from trainer.masking import first_known
from trainer.parallel import mean_square, total


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsConfig:
    """The weights of the terms and what they have in common. Raises `ValueError` for a value out of range."""

    label_weight: float = setting(0.0, "Weight of learning from labels: clips of a class come together.")
    statistics_weight: float = setting(0.0, "Weight of predicting the pose statistics of the whole, unchanged clip.")
    view_weight: float = setting(
        0.0,
        "Weight of bringing two windows of a clip together, which needs no labels. A step then sees half as many "
        "clips, each twice.",
    )
    teacher_weight: float = setting(
        0.0, "Weight of giving the vectors of --teacher from a changed window; 1 if --teacher is given and this is not."
    )
    temperature: float = setting(0.1, "Sharpness by which labels and views are told apart; lower is sharper.")
    embedding_size: int = setting(
        256, "Numbers of what is learned of tokens, by labels, views and a teacher; 0 = nothing."
    )
    general_size: int = setting(0, "Numbers of what each network learns of general features; 0 = nothing.")
    general_hidden_size: int = setting(1024, "Numbers between the two layers that learn from general features.")
    general_areas: bool = setting(
        True, "A second network learns from general features that know which way round joints go."
    )
    statistics_size: int = setting(160, "Principal directions of pose statistics that are predicted.")
    term_tokens: int = setting(75, "Random tokens of a body that these terms show to the encoder.")

    def __post_init__(self) -> None:
        for name in ("label_weight", "statistics_weight", "view_weight", "teacher_weight"):
            if not 0 <= getattr(self, name) < math.inf:  # NaN too
                raise ValueError(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be 0 or more, and finite."
                )
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"--temperature is {self.temperature}; it must be above 0 and finite.")
        for name in ("general_hidden_size", "statistics_size", "term_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be at least 1.")
        if self.statistics_size > NUM_STATISTICS:
            raise ValueError(
                f"--statistics-size is {self.statistics_size}; it must be at most {NUM_STATISTICS}, the "
                f"numbers of pose statistics."
            )
        for name in ("embedding_size", "general_size"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be 0 or more.")
        if self.general_size and not (self.label_weight or self.view_weight):
            raise ValueError(
                "--general-size needs --label-weight or --view-weight, from which its numbers are learned."
            )
        if self.teacher_weight and not self.embedding_size:
            raise ValueError(
                "--embedding-size is 0, so --teacher has nothing to teach; give it some numbers, at most as many as "
                "the teacher has."
            )
        if self.learns_embedding and not (self.embedding_size or self.general_size):
            raise ValueError(
                "--embedding-size and --general-size are both 0, so labels and views have nothing to teach; give one "
                "of them some numbers."
            )

    @property
    def are_used(self) -> bool:
        """Whether any term has a weight."""
        return any((self.label_weight, self.statistics_weight, self.view_weight, self.teacher_weight))

    @property
    def learns_embedding(self) -> bool:
        """Whether labels, views or a teacher teach an embedding. Otherwise nothing but the encoder learns."""
        return bool(self.label_weight or self.view_weight or self.teacher_weight)

    @property
    def read_tokens(self) -> bool:
        """Whether any term teaches the encoder. Otherwise only general features are learned from."""
        return bool(self.statistics_weight or (self.embedding_size and self.learns_embedding))


class Lesson(NamedTuple):
    """What a step knows of the clips that the terms see. With views, the second half are the first half's others."""

    bodies: Float[Tensor, "clips frames joints 3"]  # changed windows; NaN = lacking
    turns: Float[Tensor, "clips 3 3"]  # of bodies in their own frame, see `general_views.draw_turns`
    uniform: Float[Tensor, "clips tokens"]  # random numbers in [0, 1) by which tokens are chosen
    labels: Int[Tensor, " clips"]  # classes of sources; -1 = none
    mirrored: Bool[Tensor, " clips"]
    statistics: Float[Tensor, "clips size"]  # of the whole clips, along main directions
    taught: Float[Tensor, "clips embedding"]  # what the teacher says of the whole clips, of length 1
    sources: Int[Tensor, " clips"]  # numbers of the sources
    clips: Int[Tensor, " clips"]  # numbers of the clips in their store


class Terms(nn.Module):
    """The head and the losses. `source_of_class` says which classes are told apart: those of one source."""

    source_of_class: Tensor
    basis: Tensor

    def __init__(
        self,
        encoder: Encoder,
        config: TermsConfig,
        source_of_class: Int[Tensor, " classes"],
        basis: Float[Tensor, "numbers kept"],
    ) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Linear(encoder.width, config.embedding_size) if config.embedding_size else None
        self.statistics = nn.Linear(encoder.width, config.statistics_size)
        heads = general_heads(config.general_hidden_size, config.general_size, areas=config.general_areas)
        self.general, self.areas = heads.get("general"), heads.get("areas")
        self.apply(init_weights)
        # Processes that share a run would wait for the gradients of a part that no term uses.
        if self.head is not None:
            self.head.requires_grad_(config.learns_embedding)
        self.statistics.requires_grad_(bool(config.statistics_weight))
        self.register_buffer("source_of_class", source_of_class)
        self.register_buffer("basis", basis)  # the directions of pose statistics that are served, see `learned_head`
        # Of each class as it is, then of each mirrored; of tokens, then of general features without and with areas.
        sizes = [config.embedding_size] * (self.head is not None) + [config.general_size] * len(heads)
        vectors = [F.normalize(torch.randn(2 * len(source_of_class), size)) for size in sizes]
        self.class_vectors = nn.ParameterList(
            nn.Parameter(each, requires_grad=bool(config.label_weight)) for each in vectors
        )

    def forward(self, encoder: Encoder, lesson: Lesson) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The weighted sum of the terms, and each of them."""
        config = self.config
        features = self._token_means(encoder, lesson) if config.read_tokens else None
        with torch.autocast(lesson.bodies.device.type, enabled=False):
            parts, terms = {}, {}
            if features is not None:
                features = features.float()
                if config.statistics_weight:
                    terms["statistics"] = mean_square(self.statistics(features) - lesson.statistics)
                if self.head is not None:
                    parts[""] = F.normalize(self.head(features), dim=1)
                    if config.teacher_weight:
                        # For unit vectors, 1 - cosine.
                        distance = mean_square(parts[""] - lesson.taught) * config.embedding_size / 2
                        terms["teacher"] = distance
            parts |= {f"_{name}": part for name, part in self._of_general(lesson.bodies, lesson.turns).items()}
            for (part, vectors), classes in zip(parts.items(), self.class_vectors, strict=True):
                if config.label_weight:
                    terms[f"labels{part}"] = self._labels(vectors, F.normalize(classes, dim=1), lesson)
                if config.view_weight:
                    terms[f"views{part}"] = self._views(vectors, lesson)
            weights = {
                "labels": config.label_weight,
                "statistics": config.statistics_weight,
                "views": config.view_weight,
                "teacher": config.teacher_weight,
            }
            weighted = [weights[name.partition("_")[0]] * term for name, term in terms.items()]
            return sum(weighted, lesson.bodies.new_zeros(())), terms

    def served_vectors(
        self, encoder: Encoder, bodies: Float[Tensor, "clips frames joints 3"]
    ) -> list[Float[Tensor, "clips size"]]:
        """What is served of whole clips, of length 1, as far as it learns: of tokens, then of general features."""
        found = []
        if self.head is not None:
            found.append(F.normalize(LearnedHead(encoder, self.head).to(bodies.device).features(bodies), dim=1))
        return found + list(self._of_general(bodies).values())

    def fit_general(self, features: Float[Tensor, "clips size"]) -> None:
        """Take mean and scale of general features from these, which have areas if `general_areas` is set."""
        for head in (self.general, self.areas):
            if head is not None:
                head.fit(features[:, : head.general.size])

    def _of_general(
        self, bodies: Float[Tensor, "clips frames joints 3"], turns: Float[Tensor, "clips 3 3"] | None = None
    ) -> dict[str, Float[Tensor, "clips size"]]:
        """What each network makes of general features, of length 1. They are counted once."""
        heads = {name: head for name, head in (("general", self.general), ("areas", self.areas)) if head is not None}
        if not heads:
            return {}
        _, with_most = max(heads.items(), key=lambda named: named[1].general.size)
        features = with_most.general(bodies, turns)
        return {name: F.normalize(head.of(features), dim=1) for name, head in heads.items()}

    def _token_means(self, encoder: Encoder, lesson: Lesson) -> Float[Tensor, "clips width"]:
        maskable = cast(MaskableEncoder, encoder)  # see `TrainConfig`
        bodies, known = maskable.shown(lesson.bodies)
        segments, seen = maskable.cut(bodies_turned(bodies, lesson.turns), known)
        visible = first_known(lesson.uniform, cast(Tensor, seen), self.config.term_tokens)
        return maskable(segments, visible).mean(dim=1)

    def _labels(
        self, vectors: Float[Tensor, "clips size"], class_vectors: Float[Tensor, "sides size"], lesson: Lesson
    ) -> Float[Tensor, ""]:
        classes = len(self.source_of_class)
        has_label = lesson.labels >= 0
        label = lesson.labels.clamp_min(0)
        mine = label + classes * lesson.mirrored
        logits = vectors @ class_vectors.T / self.config.temperature
        same_source = self.source_of_class[label][:, None] == self.source_of_class
        same_source = torch.cat([same_source, same_source], dim=1)
        other_side = F.one_hot((mine + classes) % (2 * classes), 2 * classes).bool()
        logits = logits.masked_fill(~same_source | other_side, -torch.inf)
        losses = F.cross_entropy(logits, mine, reduction="none")
        count = total(has_label.sum().to(losses.dtype)).clamp_min(1)
        return total((losses * has_label).sum()) / count

    def _views(self, vectors: Float[Tensor, "clips size"], lesson: Lesson) -> Float[Tensor, ""]:
        half = len(vectors) // 2
        logits = vectors[:half] @ vectors[half:].T / self.config.temperature
        pairs = torch.arange(half, device=vectors.device)

        def are_equal(numbers: Int[Tensor, " clips"]) -> Bool[Tensor, "half half"]:
            return numbers[:half, None] == numbers[half:]

        of_one_class = are_equal(lesson.labels) & (lesson.labels[:half, None] >= 0)
        others = are_equal(lesson.sources) & ~are_equal(lesson.clips) & ~of_one_class
        logits = logits.masked_fill(~(others | (pairs[:, None] == pairs)), -torch.inf)
        loss = (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2
        count = total(loss.new_full((), half))
        return total(loss * half) / count
