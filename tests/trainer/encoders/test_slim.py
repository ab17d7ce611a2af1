"""SLiM's encoder: its turns beside numpy, and what it sees."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click import Command
from click.testing import CliRunner, Result

from gfp_serve.bundle import Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import PreprocessConfig, SampleConfig
from tests.support.small_runs import moving_body, tiny_config, write_store
from trainer.checkpoint import Checkpoint
from trainer.cli.cost import gfp_cost
from trainer.cli.evaluate import gfp_evaluate
from trainer.cli.export import gfp_export
from trainer.data.store import ClipStore
from trainer.embedding import sampling_for
from trainer.encoders.slim import GatedMlp, SlimEncoder, SlimEncoderConfig, TurnedAttention, turned
from trainer.evaluate.fine_tune import add_drop_path
from trainer.export import Origin, export_bundle
from trainer.flops import cost_table, published_costs
from trainer.loop import Trainer
from trainer.masking import first_known
from trainer.objectives.slim import SlimConfig

SMALL = SlimEncoderConfig(width=16, depth=2, num_heads=2, segment_frames=4, position_std=0.5)


def small(num_frames: int = 32) -> SlimEncoder:
    torch.manual_seed(0)
    encoder = SlimEncoder(SMALL, num_frames=num_frames).eval()
    # So narrow an encoder begins with attention that looks nowhere.
    with torch.no_grad():
        for weight in encoder.blocks.parameters():
            weight.mul_(10.0)
    return encoder


def segments(rows: int = 2, tokens: int = 200) -> torch.Tensor:
    return torch.randn(rows, tokens, 12, generator=torch.Generator().manual_seed(0))


def test_the_published_encoder_has_eight_by_twenty_five_tokens_and_the_width_of_its_gates() -> None:
    encoder = SlimEncoder(SlimEncoderConfig(), num_frames=64)
    assert encoder.num_tokens == 200
    assert encoder.registers.shape == (4, 256)
    block = encoder.blocks[0]
    assert (block.mlp.widen.out_features, block.mlp.narrow.in_features) == (1376, 688)
    of_block = 3 * 256 * 256 + 3 * 256 + 256 * 256 + 256 + 256 * 1376 + 1376 + 688 * 256 + 256 + 4 * 256
    beside = 24 * 256 + 256 + (25 + 1 + 4) * 256 + 2 * 256
    assert sum(p.numel() for p in encoder.parameters()) == 8 * of_block + beside


def test_queries_and_keys_are_turned_as_complex_numbers_by_the_place_of_their_segment() -> None:
    x = torch.randn(2, 3, 7, 8, generator=torch.Generator().manual_seed(0))
    place = np.array([0, 0, 1, 1, 2, 5, 9])
    angles = place[:, None] * 10_000.0 ** (-np.arange(0, 8, 2) / 8)
    turns = torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)]))[:, None, None].float()
    points = x.double().numpy()
    wanted = (points[..., :4] + 1j * points[..., 4:]) * np.exp(1j * angles)
    found = turned(x, turns).numpy()
    np.testing.assert_allclose(found[..., :4] + 1j * found[..., 4:], wanted, atol=1e-5)


def test_one_half_of_the_numbers_gates_the_other() -> None:
    torch.manual_seed(0)
    gated, x = GatedMlp(16), torch.randn(2, 5, 16)
    wide, bias, narrow, last = (weight.detach().double().numpy() for weight in gated.parameters())
    assert wide.shape == (2 * 48, 16)  # two thirds of four times 16, rounded up to eights
    numbers = x.double().numpy() @ wide.T + bias
    gate, value = numbers[..., :48], numbers[..., 48:]
    wanted = (gate / (1 + np.exp(-gate)) * value) @ narrow.T + last
    np.testing.assert_allclose(gated(x).detach(), wanted, atol=1e-5)


def test_attention_knows_how_far_segments_are_apart_but_not_where_they_are() -> None:
    torch.manual_seed(0)
    attention, x = TurnedAttention(16, 2), torch.randn(1, 6, 16)
    speeds = torch.tensor([1.0, 0.1, 0.01, 0.001])

    def at(place: list[int]) -> torch.Tensor:
        angles = (torch.tensor(place)[:, None] * speeds)[None, None]
        return attention(torch.stack([angles.cos(), angles.sin()]), x)

    torch.testing.assert_close(at([7, 8, 9, 10, 11, 12]), at([0, 1, 2, 3, 4, 5]), atol=1e-5, rtol=0)
    assert (at([0, 2, 4, 6, 8, 10]) - at([0, 1, 2, 3, 4, 5])).abs().max() > 1e-3


def test_tokens_know_their_joint_and_their_segment() -> None:
    encoder = small()
    clip = segments(1)
    grid = clip.view(1, 8, 25, 12)
    body, _ = encoder.filled(clip)
    for swapped in (grid.flip(1), grid.flip(2)):
        assert (encoder.filled(swapped.flatten(1, 2))[0] - body).abs().max() > 1e-3


def test_hidden_tokens_never_enter_and_the_order_of_visible_ones_does_not_matter() -> None:
    encoder = small()
    visible = torch.randperm(200, generator=torch.Generator().manual_seed(0))[None, :40].expand(2, -1)
    changed = segments()
    hidden = torch.ones(200, dtype=torch.bool)
    hidden[visible[0]] = False
    changed[:, hidden] += 1.0
    found = encoder(segments(), visible)
    torch.testing.assert_close(encoder(changed, visible), found)
    torch.testing.assert_close(encoder(segments(), visible.flip(1)).flip(1), found, atol=1e-5, rtol=0)
    everything = torch.arange(200).expand(2, -1)
    torch.testing.assert_close(encoder(segments(), everything), encoder(segments()), atol=1e-5, rtol=0)


def test_a_learned_token_hides_what_stands_there() -> None:
    encoder, token = small(), torch.randn(16)
    hidden = torch.rand(2, 200, generator=torch.Generator().manual_seed(0)) < 0.6
    changed = torch.where(hidden[..., None], 5.0, segments())
    for one, other in zip(
        encoder.filled(segments(), hidden, token), encoder.filled(changed, hidden, token), strict=True
    ):
        torch.testing.assert_close(one, other)
    assert not torch.equal(encoder.filled(segments(), hidden, -token)[0], encoder.filled(segments(), hidden, token)[0])


def test_a_shorter_view_is_read_as_an_encoder_of_its_length_reads_it() -> None:
    encoder, shorter = small(), small(num_frames=8)
    assert shorter.load_state_dict(encoder.state_dict())
    bodies = torch.randn(2, 8, 25, 3)
    torch.testing.assert_close(encoder.filled(encoder.segments(bodies))[0], shorter.filled(shorter.segments(bodies))[0])


def test_class_token_and_mean_of_tokens_are_served() -> None:
    encoder, bodies = small(), torch.randn(2, 32, 25, 3)
    body, tokens = encoder.filled(encoder.segments(bodies))
    torch.testing.assert_close(encoder.features(bodies), torch.cat([body, tokens.mean(dim=1)], dim=1))
    assert tokens.shape == (2, 200, 16)


def test_joints_that_are_lacking_are_left_out_in_the_body_frame_and_the_others_come_again() -> None:
    encoder = SlimEncoder(replace(SMALL, frame="body"), num_frames=32).eval()
    bodies = torch.randn(3, 32, 25, 3, generator=torch.Generator().manual_seed(0))
    known = encoder.features(bodies)
    bodies[1, :, 7] = torch.nan  # throughout
    bodies[2] = torch.nan  # nobody is seen
    found = encoder.features(bodies)
    assert found.isfinite().all()
    torch.testing.assert_close(found[0], known[0])
    segments, seen = encoder.known_segments(bodies)
    visible = first_known(torch.arange(200.0).expand(3, -1), seen, 200)
    assert not (visible[1] % 25 == 7).any()
    torch.testing.assert_close(found[:, 16:], encoder(segments, visible).mean(dim=1))
    with torch.no_grad():
        encoder.joints[7] = torch.randn(16)
    again = encoder.features(bodies)
    torch.testing.assert_close(again[1], found[1])
    assert not torch.allclose(again[0], found[0])


def test_heads_of_an_odd_size_are_refused() -> None:
    with pytest.raises(ValueError, match="a head has 3 numbers; it must have an even number"):
        SlimEncoderConfig(width=6, num_heads=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_clips=24)  # a read-out is fitted on 16 or more


@pytest.fixture(scope="module")
def run(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "slim"
    objective = SlimConfig(num_prototypes=12, head_width=16, head_size=8)
    Trainer(tiny_config(encoder=SMALL, objective=objective, num_frames=32), store, folder).fit()
    return folder


def invoke(command: Command, *words: object) -> Result:
    ended = CliRunner().invoke(command, [str(word) for word in words])
    assert ended.exit_code == 0, ended.output
    return ended


def test_each_protocol_reads_the_encoder(store: ClipStore, run: Path) -> None:
    for protocol, words in (
        ("retrieval", ("--fit", store.path, "--time-parts", 4)),
        ("linear-probe", ("--epochs", 1)),
        ("fine-tune", ("--epochs", 1, "--warmup-epochs", 0, "--batch-clips", 4, "--head-width", 8)),
    ):
        report = json.loads(invoke(gfp_evaluate, protocol, run, store.path, *words, "--json").stdout)
        assert "trained" in json.dumps(report)


def test_a_bundle_has_torchs_vectors(run: Path, tmp_path: Path) -> None:
    clips = [
        Clip(name=str(seed), sequence=moving_body(seed, num_bodies=1 + seed), layout=NTU25, fps=30.0) for seed in (0, 1)
    ]
    write_clip_file(tmp_path / "clips.npz", clips)
    invoke(gfp_export, run, "--out", tmp_path / "bundle", "--clips", tmp_path / "clips.npz")
    bundle = Bundle.read(tmp_path / "bundle")
    assert bundle.manifest.embedding_size == 2 * SMALL.width
    drawn = np.random.default_rng(0).normal(size=(3, 2, 32, 25, 3)).astype(np.float32)
    with torch.inference_mode():
        features = Checkpoint.read(run).build_encoder().features(torch.from_numpy(drawn).flatten(0, 1))
    expected = torch.nn.functional.normalize(features.view(3, 2, -1).mean(dim=1), dim=1).numpy()
    np.testing.assert_allclose(Encoder(bundle, device="cpu").encode(drawn), expected, atol=1e-5)


def test_the_exported_model_leaves_out_lacking_joints_as_torch_does() -> None:
    torch.manual_seed(0)
    encoder = SlimEncoder(replace(SMALL, frame="body"), num_frames=32).eval()
    sampling = sampling_for(encoder, SampleConfig(num_frames=32))
    origin = Origin(name="gaps", objective="slim", step=1, data={}, training=None)
    clip = Clip(name="a", sequence=moving_body(1), layout=NTU25, fps=30.0)
    exported = export_bundle(encoder, [clip], PreprocessConfig(sampling=sampling), origin, {"kind": "mean"})
    drawn = np.random.default_rng(0).normal(size=(3, 1, 32, 25, 3)).astype(np.float32)
    drawn[1, :, :, 7] = np.nan  # throughout
    drawn[2, :, 5:20, 3:9] = np.nan  # for a while
    with torch.inference_mode():
        features = encoder.features(torch.from_numpy(drawn)[:, 0])
    expected = torch.nn.functional.normalize(features, dim=1).numpy()
    np.testing.assert_allclose(Encoder(exported.bundle, device="cpu").encode(drawn), expected, atol=1e-5)


def test_fine_tuning_drops_paths_of_its_blocks_too() -> None:
    handles = add_drop_path(small(), 0.5)
    assert len(handles) == 2  # attention and MLP of the second block; the first drops nothing
    for handle in handles:
        handle.remove()


def test_an_embedding_costs_what_its_layers_do_by_hand() -> None:
    cost = cost_table(SlimEncoderConfig(), SlimConfig(num_prototypes=8, head_width=8, head_size=8), num_frames=64)
    tokens, width, gates = 205, 256, 688
    linear = tokens * ((width + 1) * (4 * width + 2 * gates) + (gates + 1) * width)
    block = linear + tokens**2 * (2 * width + 8) + tokens * gates
    embed = 200 * (24 + 1) * width
    assert cost["encoder, all tokens"] == pytest.approx(2 * 2 * (8 * block + embed) / 1e9, rel=1e-6)


def test_the_published_cost_is_a_row_for_the_published_encoder_alone() -> None:
    words = ("--encoder", "slim", "--objective", "slim")
    shown = invoke(gfp_cost, *words, "--num-frames", 64).stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]
    assert [(cells[0], cells[-2]) for cells in rows] == [("slim", "5.91"), ("as published", "3.59")]
    smaller = ("--width", 16, "--num-heads", 2)
    for others in ((*smaller, "--num-frames", 64), (*smaller, "--num-frames", 120)):
        table = json.loads(invoke(gfp_cost, *words, *others, "--json").stdout)
        assert "gflop_published" not in table["slim"]
    assert published_costs(SlimEncoderConfig(), SlimConfig(), num_frames=64) == {"encoder, all tokens": 3.59}
    assert published_costs(SlimEncoderConfig(), SlimConfig(), num_frames=120) == {}


def test_an_objective_that_does_not_fit_its_segments_is_refused_in_words() -> None:
    ended = CliRunner().invoke(gfp_cost, ["--encoder", "slim", "--num-frames", "64", "--objective", "gfp"])
    assert ended.exit_code == 2
    assert "gives 8 segments; gfp needs a multiple of 30" in " ".join(ended.output.split())
