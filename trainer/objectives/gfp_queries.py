"""GFP's targets, predicted from learned queries instead of pooled mask tokens.

The queries are those of AMR, CVPR 2026, arXiv 2606.11450, by the authors of GFP (it has no public code): cross-
attention from learned queries to visible tokens, and an MLP, without attention between queries. There they predict
motion; here each of GFP's 251 targets has a query of its own. This combination is ours and has no published result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainer.encoders.encoder import MaskableEncoder
from trainer.encoders.transformer import DotProductAttention, Positions, by_head, init_weights
from trainer.objectives.gfp import Gfp, GfpConfig, LevelHeads
from trainer.objectives.gfp_targets import WINDOWS, TargetWindows
from trainer.objectives.objective import ObjectiveConfig, decoder_depth_setting


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpQueriesConfig(GfpConfig):
    """The settings of GFP. Three blocks of queries cost 2.2 GFLOP a clip; GFP's blocks cost 0.9."""

    decoder_depth: int = decoder_depth_setting(3)


class CrossAttention(nn.Module):
    """Multi-head attention of queries to tokens."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.attend = DotProductAttention()
        self.proj = nn.Linear(width, width)

    def forward(
        self, queries: Float[Tensor, "rows queries width"], tokens: Float[Tensor, "rows tokens width"]
    ) -> Float[Tensor, "rows queries width"]:
        parts = (self.q(queries), *self.kv(tokens).chunk(2, dim=-1))
        return self.proj(self.attend(*(by_head(part, self.num_heads) for part in parts)))


class QueryBlock(nn.Module):
    """Pre-norm block: queries attend to the tokens, then each passes alone through an MLP four times as wide."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = CrossAttention(width, num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(
        self, queries: Float[Tensor, "rows queries width"], tokens: Float[Tensor, "rows tokens width"]
    ) -> Float[Tensor, "rows queries width"]:
        queries = queries + self.attention(self.norm1(queries), tokens)
        return queries + self.mlp(self.norm2(queries))


class QueryDecoder(nn.Module):
    """Visible tokens → predictions at each level. A query knows only its level, its window and its joint."""

    def __init__(self, encoder: MaskableEncoder, config: GfpConfig, output_widths: Sequence[int]) -> None:
        super().__init__()
        width, std = encoder.config.width, encoder.config.position_std
        self.embed = nn.Linear(width, width)
        self.positions = Positions(encoder.num_segments, encoder.num_joints, width, std=std)
        self.norm = nn.LayerNorm(width)
        # Each level has tables of its own, by which levels differ. The global level has a single place.
        self.queries = nn.ModuleList(
            Positions(encoder.num_segments // WINDOWS[level], encoder.num_joints, width, std=std)
            if level in WINDOWS
            else Positions(1, 1, width, std=std)
            for level in config.level_names
        )
        self.blocks = nn.ModuleList(QueryBlock(width, encoder.config.num_heads) for _ in range(config.decoder_depth))
        self.heads = LevelHeads(width, config, output_widths)
        self.apply(init_weights)

    def forward(
        self, tokens: Float[Tensor, "rows visible width"], visible: Int[Tensor, "rows visible"], _windows: TargetWindows
    ) -> list[Float[Tensor, "targets features"]]:
        """Predictions [targets, features] of each level. Queries stand for windows of equal length."""
        tokens = self.norm(self.embed(tokens) + self.positions()[visible])
        of_levels = [places() for places in self.queries]
        queries = torch.cat(of_levels).expand(len(tokens), -1, -1)  # rows, 251, width
        for block in self.blocks:
            queries = block(queries, tokens)
        return self.heads(torch.split(queries, [len(places) for places in of_levels], dim=1))


class GfpQueries(Gfp):
    """GFP with the query decoder. Targets, terms and settings are the same."""

    config_type: ClassVar[type[ObjectiveConfig]] = GfpQueriesConfig

    def build_decoder(self, output_widths: Sequence[int]) -> nn.Module:
        return QueryDecoder(self.encoder, self.config, output_widths)
