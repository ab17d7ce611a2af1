"""Settings and servers that all tests share.

Made-up inputs are the same in each run, so a test that fails does so because of a change. That is why there are few of
them: the same ones tell nothing new when they are tried again. `pytest --hypothesis-profile explore` tries 25 times as
many new ones. An input may take any time: the first one may have to compile or import something, and the machine may be
busy.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import milvus_server as milvus
from tests.support.tiny_bundle import tiny_bundle

# Files that take long, many of them with few tests. They begin first: where files are shared out among processes, one
# of them that began last would keep the others waiting.
LONG_FILES = tuple(
    Path(__file__).parent / name
    for name in (
        "contract/test_docs.py",
        "trainer/cli/test_train_and_export.py",
        "contract/test_gpu_benchmark.py",
        "gfp_serve/gallery/embedded/test_index.py",
        "trainer/objectives/test_every_objective.py",
        "trainer/test_parallel.py",
        "contract/test_packaging.py",
        "page/test_gallery.py",
        "gfp_serve/gallery/embedded/test_proof.py",
        "page/test_query.py",
        "gfp_serve/service/test_any_request.py",
        "trainer/test_settings.py",
        "trainer/test_start.py",
        "contract/test_site.py",
        "contract/test_reproduce.py",
        "contract/test_objectives_benchmark.py",
        "gfp_serve/gallery/care/test_repair_and_backup.py",
        "trainer/encoders/test_every_encoder.py",
        "trainer/test_loop.py",
        "contract/test_no_connections.py",
        "contract/test_replicas.py",
    )
)

AT_ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", AT_ANY_SPEED, derandomize=True, max_examples=40)
settings.register_profile("explore", AT_ANY_SPEED, max_examples=1000)
settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, then those with many tests."""
    places = {file: place for place, file in enumerate(LONG_FILES)}
    num_tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (places.get(item.path, len(places)), -num_tests[item.path]))


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Undo what a test did to logs, as `gfp-serve` sets them up. Otherwise the next tests would hear other logs."""
    root, ours = logging.getLogger(), logging.getLogger("gfp_serve")
    levels = root.level, ours.level
    before = set(root.handlers)
    yield
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    # pytest's own handlers are put in and taken out by pytest, for each part of a test.
    for handler in set(root.handlers) ^ before:
        if type(handler) is logging.StreamHandler:
            (root.addHandler if handler in before else root.removeHandler)(handler)


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle as a file."""
    path = tmp_path_factory.mktemp("bundle") / "tiny.zip"
    tiny_bundle().write(path)
    return path


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[milvus.MilvusServer]:
    with milvus.running(tmp_path_factory.mktemp("milvus")) as server:
        yield server
