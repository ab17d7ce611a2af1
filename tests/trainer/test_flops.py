import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer import encoders
from trainer.encoders import Encoder
from trainer.encoders.gru import Gru, GruConfig
from trainer.encoders.transformer import TransformerConfig
from trainer.flops import (
    PUBLISHED_GFLOP,
    _has_more_products,
    _has_own_matrix,
    _is_not_counted,
    cost_table,
    not_counted,
    parameter_table,
    published_costs,
)
from trainer.objectives import OBJECTIVES, MaskConfig
from trainer.objectives.gfp import GfpConfig
from trainer.objectives.mamp import MampConfig


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_modules_in_use_cost_the_published_flops(name: str) -> None:
    table = cost_table(TransformerConfig(), OBJECTIVES[name].config_type(), num_frames=120)
    parts = {"decoder"} if issubclass(OBJECTIVES[name].config_type, MaskConfig) else set()
    assert {"encoder", "encoder, all tokens", *parts} <= set(table)
    for part, published in PUBLISHED_GFLOP.get(name, {}).items():
        assert table[part] == pytest.approx(published, rel=0.01), part


def test_only_what_a_paper_counts_has_published_costs() -> None:
    published = TransformerConfig(), GfpConfig()
    assert published_costs(*published, num_frames=120) == PUBLISHED_GFLOP["gfp"]
    assert published_costs(*published, num_frames=240) == {}
    assert published_costs(TransformerConfig(depth=4), GfpConfig(), num_frames=120) == {}
    assert published_costs(TransformerConfig(), MampConfig(decoder_depth=3), num_frames=120) == {}


def test_counted_flops_follow_the_depth_of_encoder_and_decoder() -> None:
    small = {"width": 32, "num_heads": 2}
    full, half = (cost_table(TransformerConfig(**small, depth=d), GfpConfig(), num_frames=120) for d in (8, 4))
    assert half["encoder"] == pytest.approx(full["encoder"] / 2, rel=0.01)
    assert half["decoder"] == full["decoder"]
    one, two, three = (
        cost_table(TransformerConfig(**small), MampConfig(decoder_depth=d), num_frames=120)["decoder"]
        for d in (1, 2, 3)
    )
    assert three - two == pytest.approx(two - one)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_all_that_we_build_is_counted(name: str) -> None:
    assert not_counted(TransformerConfig(), OBJECTIVES[name].config_type(), num_frames=120) == []


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(3, 4, 5),
        nn.LSTM(3, 4),
        nn.MultiheadAttention(8, 2),
        nn.GRU(3, 4, num_layers=2),
        nn.GRU(3, 4, bidirectional=True),
    ],
)
def test_layers_that_are_not_counted_are_known(layer: nn.Module) -> None:
    assert _is_not_counted(layer)


@pytest.mark.parametrize(
    "layer", [nn.Linear(3, 4), nn.GRU(3, 4), nn.LayerNorm(8), nn.Embedding(3, 4), nn.BatchNorm1d(3)]
)
def test_layers_that_are_counted_or_multiply_nothing_are_known(layer: nn.Module) -> None:
    assert not _is_not_counted(layer)


@pytest.mark.parametrize("name", encoders.ENCODERS)
def test_an_embedding_has_no_products_of_matrices_beside_those_that_are_counted(name: str) -> None:
    frames = 64 if name == "slim" else 120
    with torch.device("meta"):
        encoder = encoders.build_encoder(encoders.config_types()[name](), num_frames=frames)
    assert not _has_more_products(encoder, frames)


class Graph(Gru):
    """Multiplies without a module: with a weight of its own, or attention as a function."""

    with_weight = True

    def __init__(self, config: GruConfig, *, num_frames: int) -> None:
        super().__init__(config, num_frames=num_frames)
        self.links = nn.Parameter(torch.zeros(25, 25))

    def tokens(self, bodies: Tensor, draws: Tensor | None = None) -> Tensor:
        if self.with_weight:
            bodies = torch.einsum("rfjc,jk->rfkc", bodies, self.links)
            return super().tokens(bodies, draws)
        tokens = super().tokens(bodies, draws)[:, None].repeat(1, 8, 1, 1)
        return F.scaled_dot_product_attention(tokens, tokens, tokens)[:, 0]


@pytest.mark.parametrize("with_weight", [True, False])
def test_products_that_an_encoder_takes_without_a_module_are_noticed(
    with_weight: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Graph, "with_weight", with_weight)
    with torch.device("meta"):
        encoder: Encoder = Graph(GruConfig(width=2, depth=1), num_frames=120)
    assert _has_more_products(encoder, 120)


def test_a_matrix_of_another_packages_module_counts_as_unknown() -> None:
    class Theirs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix, self.token = nn.Parameter(torch.zeros(3, 4)), nn.Parameter(torch.zeros(4))

    class Layer(nn.Linear):
        pass

    assert _has_own_matrix(Theirs())
    assert not _has_own_matrix(Layer(3, 4))


def test_flops_of_one_linear_layer_equal_a_count_by_hand() -> None:
    # One more of mlp_layers adds one 8 → 8 layer for each row, and nothing else here. Two bodies have 25 rows each. A
    # row costs 8 · 8 products and 8 biases, then 2 · 8 for batch norm and 8 for the ReLU; two FLOPs each.
    def of(layers: int) -> float:
        config = GfpConfig(levels="long", local_width=8, mlp_layers=layers)
        return cost_table(TransformerConfig(width=16, depth=1, num_heads=2), config, num_frames=120)["target network"]

    assert (of(3) - of(2)) * 1e9 == pytest.approx(2 * 2 * 25 * (64 + 8 + 16 + 8))


@pytest.mark.parametrize(
    ("name", "part", "millions"),
    [
        ("gfp", "encoder", 6.34),
        ("gfp", "decoder", 3.22 + 10.92),  # four blocks, an embedding and positions; projectors
        ("gfp", "target network", 28.4),
        ("mamp", "decoder", 4.03),  # with the encoder upstream's 10.37
        ("s_jepa", "target encoder", 6.34),
    ],
)
def test_the_numbers_of_parameters_are_the_published_ones(name: str, part: str, millions: float) -> None:
    table = parameter_table(TransformerConfig(), OBJECTIVES[name].config_type(), num_frames=120)
    assert table[part] / 1e6 == pytest.approx(millions, abs=0.05)
