"""Where a bundle is found, and settings that do not fit together."""

from pathlib import Path
from typing import Any

import pytest

from gfp_serve.bundle import Bundle
from gfp_serve.config import DEFAULT_BUNDLE, SHIPPED_BUNDLES, ServeConfig, bundle_at, shipped_bundles


@pytest.mark.parametrize("name", ["pose-statistics", "general-features", "general-features-free"])
def test_a_shipped_bundle_is_found_by_its_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert bundle_at(Path(name)) == SHIPPED_BUNDLES / name
    assert Bundle.read(bundle_at(Path(name))).manifest.name == name


def test_what_lies_in_the_folder_comes_before_a_shipped_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pose-statistics").mkdir()
    assert bundle_at(Path("pose-statistics")) == Path("pose-statistics")


@pytest.mark.parametrize("path", ["runs/pose-statistics", "bundles/mine", "mine", "..", "/nowhere"])
def test_other_paths_stay_as_they_are(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert bundle_at(Path(path)) == Path(path)


def test_the_default_bundle_is_a_shipped_one() -> None:
    assert DEFAULT_BUNDLE.parent == SHIPPED_BUNDLES


def test_the_shipped_bundles_have_names() -> None:
    assert shipped_bundles() == ["general-features", "general-features-free", "pose-statistics"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cpu", "cuda_graphs": True}, "--cuda-graphs has no effect with --device cpu"),
        ({"device": "tensorrt", "cuda_graphs": True}, "--cuda-graphs has no effect with --device tensorrt"),
        ({"device": "cuda", "tensorrt_cache": Path("c")}, "--tensorrt-cache has no effect with --device cuda"),
    ],
)
def test_settings_of_another_device_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ServeConfig(**settings)
