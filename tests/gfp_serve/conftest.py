"""What tests of real servers share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gfp_serve import milvus_server as milvus
from tests.gfp_serve.tiny import tiny_bundle


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
