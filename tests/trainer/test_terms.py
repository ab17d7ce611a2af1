"""What is learned beside an objective, held against its formulas."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tests.support.small_runs import TINY_ENCODER
from trainer.encoders.transformer import Transformer
from trainer.terms import Lesson, Terms, TermsConfig

SOURCES = torch.tensor([0, 0, 0, 1, 1])
LABELS = torch.tensor([0, 1, 2, 3, 4, 0, -1, 3])
CLIP_SOURCES = torch.tensor([0, 0, 0, 1] * 2)
MIRRORED = torch.tensor([False, True, False, False, True, True, False, False])


def lesson() -> Lesson:
    draws = torch.Generator().manual_seed(0)
    return Lesson(
        torch.randn((8, 120, 25, 3), generator=draws),
        torch.eye(3).expand(8, 3, 3),
        torch.rand((8, 750), generator=draws),
        LABELS,
        MIRRORED,
        torch.randn((8, 6), generator=draws),
        F.normalize(torch.randn((8, 12), generator=draws), dim=1),
        CLIP_SOURCES,
        torch.tensor([11, 12, 13, 14, 11, 12, 13, 14]),
    )


def terms_of(**weights: float) -> tuple[Terms, Transformer]:
    torch.manual_seed(0)
    sizes = {"embedding_size": 12, "statistics_size": 6, "term_tokens": 20}
    config = TermsConfig(**(sizes | weights))  # type: ignore[arg-type]
    encoder = Transformer(TINY_ENCODER, num_frames=120)
    return Terms(encoder, config, SOURCES, torch.zeros(618, 4)), encoder


def vectors_of(terms: Terms, encoder: Transformer, given: Lesson) -> tuple[torch.Tensor, torch.Tensor]:
    visible = given.uniform.argsort(dim=1)[:, :20]
    features = encoder(encoder.segments(given.bodies), visible).mean(dim=1)
    return features, F.normalize(terms.head(features), dim=1)


def test_the_teacher_term_is_one_less_the_cosine_to_what_the_teacher_says() -> None:
    terms, encoder = terms_of(teacher_weight=3.0)
    loss, found = terms(encoder, lesson())
    _, vectors = vectors_of(terms, encoder, lesson())
    expected = (1 - F.cosine_similarity(vectors, lesson().taught)).mean()
    torch.testing.assert_close(found["teacher"], expected)
    torch.testing.assert_close(loss, 3 * expected)
    assert not any(vector.requires_grad for vector in terms.class_vectors)  # no labels are learned


def test_labels_are_told_apart_from_classes_of_their_source_alone() -> None:
    terms, encoder = terms_of(label_weight=2.0)
    loss, found = terms(encoder, lesson())
    _, vectors = vectors_of(terms, encoder, lesson())
    classes = F.normalize(terms.class_vectors[0], dim=1)
    expected = []
    for row, (label, mirrored) in enumerate(zip(LABELS.tolist(), MIRRORED.tolist(), strict=True)):
        if label < 0:
            continue
        mine, other_side = (label + 5, label) if mirrored else (label, label + 5)
        of_source = [each for each in range(5) if SOURCES[each] == SOURCES[label]]
        others = [each for each in [*of_source, *(each + 5 for each in of_source)] if each != other_side]
        logits = vectors[row] @ classes[others].T / 0.1
        expected.append(torch.logsumexp(logits, 0) - vectors[row] @ classes[mine] / 0.1)
    torch.testing.assert_close(found["labels"], torch.stack(expected).mean())
    torch.testing.assert_close(loss, 2 * found["labels"])


def test_statistics_are_predicted_by_their_mean_square() -> None:
    terms, encoder = terms_of(statistics_weight=0.5)
    loss, found = terms(encoder, lesson())
    features, _ = vectors_of(terms, encoder, lesson())
    expected = (terms.statistics(features) - lesson().statistics).square().mean()
    torch.testing.assert_close(found["statistics"], expected)
    torch.testing.assert_close(loss, 0.5 * expected)


def test_two_views_of_a_clip_find_each_other_among_clips_of_their_source_and_of_other_classes() -> None:
    terms, encoder = terms_of(view_weight=1.0)
    given = lesson()._replace(labels=torch.tensor([0, 0, 1, -1, 0, 0, 1, -1]), sources=torch.tensor([0, 0, 0, 0] * 2))
    _, vectors = vectors_of(terms, encoder, given)
    similarity = (vectors[:4] @ vectors[4:].T / 0.1).detach()

    def expected(others: list[list[int]]) -> torch.Tensor:
        """Each clip's own window against those of the clips it is told apart from."""
        losses = []
        for table in (similarity, similarity.T):
            for row, of_row in enumerate(others):
                losses.append(torch.logsumexp(table[row, sorted([row, *of_row])], 0) - table[row, row])
        return torch.stack(losses).mean()

    found, _ = terms(encoder, given)
    torch.testing.assert_close(found.detach(), expected([[2, 3], [2, 3], [0, 1, 3], [0, 1, 2]]))
    found, _ = terms(encoder, given._replace(sources=torch.tensor([0, 1, 1, 0] * 2)))
    torch.testing.assert_close(found.detach(), expected([[3], [2], [1], [0]]))
    found, _ = terms(encoder, given._replace(labels=torch.full((8,), -1), clips=torch.tensor([5, 5, 6, 7] * 2)))
    torch.testing.assert_close(found.detach(), expected([[2, 3], [2, 3], [0, 1, 3], [0, 1, 2]]))


def test_a_step_without_any_label_learns_nothing_from_labels() -> None:
    terms, encoder = terms_of(label_weight=1.0)
    loss, _ = terms(encoder, lesson()._replace(labels=torch.full((8,), -1)))
    assert float(loss.detach()) == 0


@pytest.mark.parametrize("weights", [{"label_weight": 1.0}, {"statistics_weight": 1.0}, {"view_weight": 1.0}])
def test_every_term_teaches_the_encoder(weights: dict[str, float]) -> None:
    terms, encoder = terms_of(**weights)
    loss, _ = terms(encoder, lesson())
    loss.backward()
    assert all(float(weight.grad.abs().sum()) > 0 for weight in encoder.blocks.parameters() if weight.ndim == 2)


def test_autocast_does_not_round_the_coordinates_that_are_turned() -> None:
    terms, encoder = terms_of(view_weight=1.0)
    cut, given = encoder.cut, []
    encoder.cut = lambda bodies, known: given.append(bodies) or cut(bodies, known)  # type: ignore[method-assign]
    terms(encoder, lesson())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms(encoder, lesson())
    torch.testing.assert_close(given[1], given[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"label_weight": -1.0}, "--label-weight is -1.0; it must be 0 or more, and finite"),
        ({"temperature": 0.0}, "--temperature is 0.0; it must be above 0 and finite"),
        ({"view_weight": math.inf}, "--view-weight is inf"),
        ({"statistics_size": 619}, "--statistics-size is 619; it must be at most 618"),
        ({"term_tokens": 0}, "--term-tokens is 0; it must be at least 1"),
    ],
)
def test_a_value_that_cannot_be_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TermsConfig(**wrong)


def test_general_features_learn_from_labels_by_themselves() -> None:
    terms, encoder = terms_of(label_weight=1.0, general_size=6, general_hidden_size=5)
    assert terms.general is not None
    loss, found = terms(encoder, lesson())
    assert terms.areas is not None
    assert set(found) == {"labels", "labels_general", "labels_areas"}
    torch.testing.assert_close(loss, found["labels"] + found["labels_general"] + found["labels_areas"])
    found["labels_general"].backward()
    assert float(terms.general.hidden.weight.grad.abs().sum()) > 0
    assert terms.areas.hidden.weight.grad is None
    assert all(weight.grad is None for weight in encoder.parameters())


def test_without_numbers_for_tokens_the_encoder_is_not_asked() -> None:
    terms, encoder = terms_of(label_weight=1.0, embedding_size=0, general_size=6, general_hidden_size=5)
    loss, found = terms(encoder, lesson())
    assert set(found) == {"labels_general", "labels_areas"}
    loss.backward()
    assert all(weight.grad is None for weight in encoder.parameters())


def test_labels_need_numbers_to_teach() -> None:
    with pytest.raises(ValueError, match="--embedding-size and --general-size are both 0"):
        TermsConfig(label_weight=1.0, embedding_size=0)


def test_general_features_need_something_to_learn_from() -> None:
    with pytest.raises(ValueError, match="--general-size needs --label-weight or --view-weight"):
        TermsConfig(statistics_weight=1.0, general_size=8)
