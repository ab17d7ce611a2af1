import pytest
import torch

from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.objectives.gfp import Gfp, GfpConfig

SMALL = TransformerConfig(width=16, depth=2, num_heads=2)


def test_the_encoder_has_the_published_number_of_parameters() -> None:
    encoder = Transformer(TransformerConfig(), num_frames=120)
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(6.34, abs=0.005)


def test_a_token_is_four_frames_of_one_joint() -> None:
    bodies = torch.arange(120 * 25 * 3, dtype=torch.float32).view(1, 120, 25, 3)
    segments = Transformer(SMALL, num_frames=120).segments(bodies)
    assert segments.shape == (1, 750, 12)
    # Token 2 · 25 + 7 is joint 7 in frames 8 to 11.
    assert torch.equal(segments[0, 57], bodies[0, 8:12, 7].flatten())


def test_hidden_tokens_do_not_change_what_is_encoded() -> None:
    encoder = Transformer(SMALL, num_frames=120)
    segments = torch.randn(1, 750, 12)
    visible = torch.randperm(750)[None, :74]
    hidden = torch.ones(750, dtype=torch.bool)
    hidden[visible[0]] = False
    changed = segments.clone()
    changed[0, hidden] += 1.0
    assert torch.equal(encoder(segments, visible), encoder(changed, visible))


def test_encoding_all_tokens_by_index_equals_encoding_without_an_index() -> None:
    encoder = Transformer(SMALL, num_frames=120)
    segments = torch.randn(2, 750, 12)
    everything = torch.arange(750).expand(2, -1)
    torch.testing.assert_close(encoder(segments, everything), encoder(segments), atol=1e-5, rtol=0)


def test_bodies_of_a_batch_do_not_see_each_other() -> None:
    encoder = Transformer(SMALL, num_frames=120).eval()
    bodies = torch.randn(3, 120, 25, 3)
    torch.testing.assert_close(encoder.features(bodies)[1:2], encoder.features(bodies[1:2]), atol=1e-5, rtol=0)


def test_a_clip_that_does_not_divide_into_segments_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of --segment-frames"):
        Transformer(SMALL, num_frames=122)


def test_gfp_refuses_a_clip_that_its_windows_do_not_divide() -> None:
    with pytest.raises(ValueError, match="multiple of 30, for example --num-frames 120"):
        Gfp(Transformer(SMALL, num_frames=80), GfpConfig())


def test_coordinates_are_embedded_in_float32_even_if_the_rest_is_bf16() -> None:
    encoder = Transformer(SMALL, num_frames=120)
    kinds = []
    for part in (encoder.embed, encoder.blocks[0].attention.qkv):
        part.register_forward_hook(lambda _part, given, _out: kinds.append(given[0].dtype))
        part.register_forward_hook(lambda _part, _given, out: kinds.append(out.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoder(torch.randn(2, 750, 12))
    assert kinds == [torch.float32, torch.float32, torch.float32, torch.bfloat16]
