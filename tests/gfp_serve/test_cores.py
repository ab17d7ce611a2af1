"""The cores of a container with a limit of CPU time."""

from pathlib import Path

import pytest

from gfp_serve import cores
from gfp_serve.gallery.embedded.cores import Cores


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of eight cores; the folder in which a container's limits stand."""
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path)
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("200000 100000", 2), ("150000 100000", 2), ("20000 100000", 1), ("max 100000", 8), ("9900000 100000", 8)]
    + [("", 8), ("0 0", 8), ("many few", 8)],
)
def test_a_limit_of_cpu_time_counts_as_cores(eight_cores: Path, limit: str, expected: int) -> None:
    (eight_cores / "cpu.max").write_text(limit + "\n")
    assert cores.num_cores() == expected


@pytest.mark.parametrize(("quota", "expected"), [("300000", 3), ("-1", 8)])
def test_the_older_form_of_the_limit_is_read_too(eight_cores: Path, quota: str, expected: int) -> None:
    (eight_cores / "cpu").mkdir()
    (eight_cores / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (eight_cores / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cores.num_cores() == expected


def test_without_a_limit_all_cores_count_that_the_process_may_run_on(eight_cores: Path) -> None:
    assert not list(eight_cores.iterdir())
    assert cores.num_cores() == 8


def test_a_search_uses_no_more_threads_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    faiss = pytest.importorskip("faiss")
    monkeypatch.setattr("gfp_serve.gallery.embedded.cores.cpu_limit", lambda: 2.5)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(8)
    try:
        with Cores().shared():
            assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)
