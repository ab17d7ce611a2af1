"""Batches cut on the device equal those of the numpy functions that serving uses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gfp_serve.preprocess import SampleConfig, resample
from tests.support.small_runs import write_store
from trainer import parallel
from trainer.data.batches import Batch, TrainingClips
from trainer.data.store import ClipStore
from trainer.data.views import Noise, Shear, View
from trainer.data.windows import draw_windows
from trainer.schedule import window_draws

VIEW = View(min_share=0.1, changes=(Shear(), Noise()))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store")


def training_clips(store: ClipStore, *, batch_clips: int, **sampling: bool) -> TrainingClips:
    return TrainingClips(
        store,
        SampleConfig(**sampling),
        num_draws=750,
        batch_clips=batch_clips,
        seed=0,
        device=torch.device("cpu"),
    )


def test_the_rows_of_a_step_are_its_clips_cut_to_windows_resampled_and_turned(store: ClipStore) -> None:
    clips = training_clips(store, batch_clips=9)
    rows = iter(clips.batch(5).bodies.numpy())
    chosen = clips.of_step(5)
    views = draw_windows(store.num_frames[chosen], window_draws(5, seed=0))
    for place, clip in enumerate(chosen):
        start, length = views.start[place], views.length[place]
        window = resample(store.clip(int(clip))[start : start + length], 120) @ views.rotation[place].T
        for body in window.transpose(1, 0, 2, 3):
            np.testing.assert_allclose(next(rows), body, atol=1e-5)
    assert next(rows, None) is None


def test_every_step_has_the_same_number_of_rows_and_every_clip_is_used(store: ClipStore) -> None:
    clips = training_clips(store, batch_clips=4)
    rows = {len(clips.batch(step).bodies) for step in range(12)}
    assert rows == {5}  # 3 of 9 training clips have two bodies: one of four clips
    used = np.concatenate([clips.of_step(step) for step in range(12)])
    assert set(used.tolist()) == set(np.flatnonzero(store.splits != 1).tolist())


def test_a_single_clip_is_too_few_for_any_step(tmp_path: Path) -> None:
    single = write_store(tmp_path / "store", num_clips=1)
    with pytest.raises(ValueError, match="has 1 clip outside its test split, and a step takes at least 2; import"):
        training_clips(single, batch_clips=2)


def test_a_store_of_one_kind_of_clips_is_cut_into_whole_batches(tmp_path: Path) -> None:
    clips = training_clips(write_store(tmp_path / "store", pairs=False), batch_clips=3)
    assert [len(set(clips.of_step(step).tolist())) for step in range(3)] == [3, 3, 3]
    assert len({int(clip) for step in range(3) for clip in clips.of_step(step)}) == 9  # an epoch


def rows_of_processes(
    store: ClipStore, monkeypatch: pytest.MonkeyPatch, *, batch_clips: int, num_processes: int
) -> list[torch.Tensor]:
    monkeypatch.setattr(parallel, "num_processes", lambda: num_processes)
    shares = []
    for rank in range(num_processes):
        monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
        shares.append(training_clips(store, batch_clips=batch_clips).batch(0).bodies)
    return shares


def test_several_processes_share_a_step_evenly_and_each_has_clips(
    store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = training_clips(store, batch_clips=4).batch(0).bodies
    for num_processes, rows in ((2, [2, 3]), (3, [3, 1, 1]), (4, [1, 1, 1, 2])):  # three clips of one body, one of two
        shares = rows_of_processes(store, monkeypatch, batch_clips=4, num_processes=num_processes)
        assert [len(share) for share in shares] == rows
        together = torch.cat(shares)
        assert sorted(together.flatten(1).sum(1).tolist()) == pytest.approx(sorted(whole.flatten(1).sum(1).tolist()))


def test_more_processes_than_clips_in_a_step_are_refused(store: ClipStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="--batch-clips is 4, and 5 processes share"):
        rows_of_processes(store, monkeypatch, batch_clips=4, num_processes=5)


def test_each_step_has_its_own_random_numbers_and_always_the_same(store: ClipStore) -> None:
    clips = training_clips(store, batch_clips=4)
    first, second = clips.batch(0), clips.batch(1)
    again = training_clips(store, batch_clips=4).batch(1)
    assert torch.equal(second.uniform, again.uniform)
    assert torch.equal(second.bodies, again.bodies)
    assert not torch.equal(first.uniform, second.uniform)
    assert second.uniform.shape == (5, 750)


def test_test_clips_are_never_trained_on(store: ClipStore) -> None:
    clips = training_clips(store, batch_clips=2)
    used = np.concatenate([clips.of_step(step) for step in range(20)])
    assert not (store.splits[used] == 1).any()
    assert len(set(used.tolist())) == (store.splits != 1).sum()


def test_absent_bodies_have_no_row_unless_they_are_kept(store: ClipStore) -> None:
    packed = training_clips(store, batch_clips=9).batch(0).bodies
    kept = training_clips(store, batch_clips=9, keep_absent_bodies=True).batch(0).bodies
    pairs = int((store.num_bodies[store.splits != 1] == 2).sum())
    assert len(packed) == 9 + pairs
    assert len(kept) == 18
    assert int((kept.abs().amax(dim=(1, 2, 3)) == 0).sum()) == 9 - pairs
    assert (packed.abs().amax(dim=(1, 2, 3)) > 0).all()


def test_each_view_of_a_step_is_cut_and_changed_by_itself_and_again_the_same(store: ClipStore) -> None:
    def made() -> TrainingClips:
        return TrainingClips(
            store, SampleConfig(), num_draws=10, batch_clips=4, seed=0, device=torch.device("cpu"), views=(VIEW, VIEW)
        )

    first, later = made().batch(0), made().batch(1)
    assert len(first.views) == 2
    assert not torch.equal(first.views[0], first.views[1])
    assert not torch.equal(first.views[0], later.views[0])
    assert all(torch.equal(*pair) for pair in zip(first.views, made().batch(0).views, strict=True))
    assert (first.num_clips, first.clip.tolist(), first.first_row.tolist()) == (4, [0, 1, 2, 3, 3], [0, 1, 2, 3])


def test_windows_within_others_lie_in_these_and_are_shares_of_these() -> None:
    frames = np.full(200, 300)
    whole = draw_windows(frames, np.random.default_rng(0), max_angle=0.0)
    parts = draw_windows(
        frames,
        np.random.default_rng(1),
        min_share=0.15,
        max_share=0.4,
        min_frames=16,
        max_angle=0.0,
        within=whole,
    )
    assert (parts.start >= whole.start).all()
    assert (parts.start + parts.length <= whole.start + whole.length).all()
    share = parts.length / whole.length
    assert 0.14 < share.min() < 0.16
    assert 0.38 < share.max() <= 0.4
    assert (parts.start > whole.start).any()


def test_a_part_of_the_processes_clips_are_changed_as_in_the_whole_step(
    store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made() -> Batch:
        clips = TrainingClips(
            store, SampleConfig(), num_draws=10, batch_clips=4, seed=0, device=torch.device("cpu"), views=(VIEW,)
        )
        return clips.batch(0)

    whole = made()
    monkeypatch.setattr("trainer.parallel.num_processes", lambda: 2)
    monkeypatch.setattr("trainer.parallel.rank", lambda: 1)
    share = made()
    mine = whole.clip % 2 == 1
    torch.testing.assert_close(share.views[0], whole.views[0][mine])
    torch.testing.assert_close(share.uniform, whole.uniform[mine])
    assert (share.clip.tolist(), share.first_row.tolist()) == ([0, 1, 1], [0, 1])
