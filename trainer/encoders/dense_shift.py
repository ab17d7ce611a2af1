"""The layers of USDRL's dense encoder (DSTE): dense shift attention beside convolutional attention.

Both parts of a layer share one attention; norms and MLPs are their own. See `two_stream` for the paper.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainer.encoders.transformer import Attention

# Upstream's `alpha` and `gap`: the share of convolutional attention, and which tokens are not mixed: every fourth.
_SHARE_OF_CONVOLUTION = 0.5
_UNMIXED = 4
# Attention and MLP, in the mixed and the unmixed pass of the one part and in the other part.
_DRAWS_OF_SHIFT, _DRAWS_OF_CONVOLUTION = 4, 2
DRAWS_OF_LAYER = _DRAWS_OF_SHIFT + _DRAWS_OF_CONVOLUTION


def without_some(
    update: Float[Tensor, "rows tokens width"], draws: Float[Tensor, " rows"] | None, share: float
) -> Float[Tensor, "rows tokens width"]:
    """Drop-path: 0 in the rows whose draw is below `share`, and the others so much larger that the mean stays."""
    if draws is None:
        return update
    return update * (draws >= share)[:, None, None] / (1 - share)


class _Part(nn.Module):
    """Norm, attention, norm and an MLP twice as wide as a token. The attention is another module's."""

    def __init__(self, width: int, *, drop_path: float) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def attended(
        self,
        x: Float[Tensor, "rows tokens width"],
        attention: nn.Module,
        draws: Float[Tensor, "rows draws"] | None,
        place: int,
    ) -> Float[Tensor, "rows tokens width"]:
        return without_some(attention(self.norm1(x)), None if draws is None else draws[:, place], self.drop_path)

    def thought(
        self, x: Float[Tensor, "rows tokens width"], draws: Float[Tensor, "rows draws"] | None, place: int
    ) -> Float[Tensor, "rows tokens width"]:
        return without_some(self.mlp(self.norm2(x)), None if draws is None else draws[:, place], self.drop_path)


class DenseShift(_Part):
    """Tokens are mixed along their axis, except every fourth. Then mixed and unmixed tokens pass the same block.

    The result is the mean of both.
    """

    is_mixed: Tensor

    def __init__(self, num_tokens: int, width: int, *, drop_path: float) -> None:
        super().__init__(width, drop_path=drop_path)
        self.mix = nn.Sequential(nn.Linear(num_tokens, num_tokens), nn.ReLU(), nn.Linear(num_tokens, num_tokens))
        mixed = torch.arange(num_tokens) % _UNMIXED > 0
        self.register_buffer("is_mixed", mixed.float()[:, None], persistent=False)

    def forward(
        self,
        x: Float[Tensor, "rows tokens width"],
        attention: nn.Module,
        draws: Float[Tensor, "rows draws"] | None = None,
    ) -> Float[Tensor, "rows tokens width"]:
        found = []
        for place, tokens in ((0, self.mixed(x)), (2, x)):
            passed = tokens + self.attended(tokens, attention, draws, place)
            found.append(passed + self.thought(passed, draws, place + 1))
        return (found[0] + found[1]) / 2

    def mixed(self, x: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows tokens width"]:
        """Each token with a part of all others, that two layers choose; every fourth stays as it is."""
        return x + self.mix(x.transpose(1, 2)).transpose(1, 2) * self.is_mixed


class ConvolutionalAttention(_Part):
    """Attention of tokens that passed a layer each by itself. As in the public code, nothing is added to the MLP's."""

    def __init__(self, width: int, *, drop_path: float) -> None:
        super().__init__(width, drop_path=drop_path)
        self.pointwise = nn.Sequential(nn.Linear(width, width), nn.ReLU())  # a convolution over one token at a time

    def forward(
        self,
        x: Float[Tensor, "rows tokens width"],
        attention: nn.Module,
        draws: Float[Tensor, "rows draws"] | None = None,
    ) -> Float[Tensor, "rows tokens width"]:
        passed = x + self.attended(x + self.pointwise(x), attention, draws, 0)
        return self.thought(passed, draws, 1)


class DenseLayer(nn.Module):
    """Half of convolutional attention and half of dense shift attention, with one attention for both."""

    def __init__(self, num_tokens: int, width: int, num_heads: int, *, drop_path: float) -> None:
        super().__init__()
        self.attention = Attention(width, num_heads)
        self.convolution = ConvolutionalAttention(width, drop_path=drop_path)
        self.shift = DenseShift(num_tokens, width, drop_path=drop_path)

    def forward(
        self, x: Float[Tensor, "rows tokens width"], draws: Float[Tensor, "rows draws"] | None = None
    ) -> Float[Tensor, "rows tokens width"]:
        of_shift = None if draws is None else draws[:, :_DRAWS_OF_SHIFT]
        of_convolution = None if draws is None else draws[:, _DRAWS_OF_SHIFT:]
        share = _SHARE_OF_CONVOLUTION
        return share * self.convolution(x, self.attention, of_convolution) + (1 - share) * self.shift(
            x, self.attention, of_shift
        )
