"""What tests of real servers share."""

from pathlib import Path

import pytest

from tests.gfp_serve.tiny import tiny_bundle


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle as a file."""
    path = tmp_path_factory.mktemp("bundle") / "tiny.zip"
    tiny_bundle().write(path)
    return path
