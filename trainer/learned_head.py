"""The embedding that labels and views taught, alone and beside others in one vector."""

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.embedding import PoseStatistics
from trainer.encoders import Encoder, MaskableEncoder
from trainer.general_features import NUM_STATISTICS, GeneralFeatures, GeneralHead
from trainer.token_choice import Budget, TokenChoice

# A body shows this many of its 750 tokens when it is embedded. All of them take five times as long, and find 0.6 to 2.6
# points more by themselves (benchmarks/cheaper.json); beside general features that was not measured.
SERVED_TOKENS = 225


class LearnedHead(nn.Module):
    """The mean of a body's chosen tokens, through the head that learned with the encoder.

    Tokens of joints that are lacking are left out, so it needs a `MaskableEncoder`.
    """

    keep_lacking = True  # see `embedding.sampling_for`

    def __init__(self, encoder: Encoder, head: nn.Linear, tokens: Budget | None = None) -> None:
        super().__init__()
        self.encoder, self.head = cast(MaskableEncoder, encoder), head
        self.choice = TokenChoice(self.encoder, tokens or Budget(min(SERVED_TOKENS, encoder.num_tokens)))

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        segments, known = self.encoder.cut(*self.encoder.shown(bodies))
        return self.head(self.encoder(segments, self.choice(segments, known)).mean(dim=1))


class CountedStatistics(nn.Module):
    """Pose statistics along the directions of `basis`, which keep most of their cosines in fewer numbers."""

    basis: Tensor
    keep_lacking = True  # see `embedding.sampling_for`

    def __init__(self, basis: Float[Tensor, "numbers kept"]) -> None:
        super().__init__()
        self.statistics = PoseStatistics()
        self.register_buffer("basis", basis)

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        return self.statistics.features(bodies) @ self.basis

    def of(self, features: Float[Tensor, "rows numbers"]) -> Float[Tensor, "rows size"]:
        """The direction alone, of general features that are counted already: these have statistics of length 1."""
        return features[:, :NUM_STATISTICS] @ self.basis


class Shares(NamedTuple):
    """The weight of each part in the similarity that is served. Parts that a run does not have are left out.

    The parts that learned from general features share theirs. They are better where clips are cut or people hold still;
    counted pose statistics learned nothing, and know actions that nobody taught.
    """

    tokens: float
    general: float
    statistics: float


# Between general features and statistics chosen on people who were held out, see docs/train.md. The share of tokens was
# not chosen by measuring.
SERVED_SHARES = Shares(0.3, 0.6, 0.1)


class SideBySide(nn.Module):
    """Features of several models in one vector, whose cosine is the mean of their cosines, weighted by `shares`.

    Each of them must take NaN for joints that are lacking. General features are counted once for all parts that read
    them.
    """

    keep_lacking = True  # see `embedding.sampling_for`

    def __init__(self, parts: Sequence[nn.Module], shares: Sequence[float]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.roots = [math.sqrt(share / math.fsum(shares)) for share in shares]

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        general = self._general()
        return self._of(bodies, None if general is None else general(bodies))

    def _general(self) -> GeneralFeatures | None:
        """Those that have all numbers which the parts read."""
        found = [part.general for part in self.parts if isinstance(part, GeneralHead)]
        found += [general for part in self.parts if isinstance(part, SideBySide) and (general := part._general())]
        return max(found, key=lambda general: general.size, default=None)

    def _of(
        self, bodies: Float[Tensor, "rows frames joints 3"], general: Float[Tensor, "rows numbers"] | None
    ) -> Float[Tensor, "rows size"]:
        found = []
        for part, root in zip(self.parts, self.roots, strict=True):
            if isinstance(part, SideBySide):
                vectors = part._of(bodies, general)
            elif isinstance(part, GeneralHead | CountedStatistics) and general is not None:
                vectors = part.of(general)
            else:
                vectors = part.features(bodies)  # type: ignore[operator]
            found.append(root * F.normalize(vectors, dim=1))
        return torch.cat(found, dim=1)
