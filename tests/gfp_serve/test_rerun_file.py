"""Queries and neighbours as a recording of Rerun."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.errors import MissingExtraError
from gfp_serve.layouts import NTU25
from gfp_serve.motion_page import Motion, MotionPanel, MotionRow
from gfp_serve.rerun_file import write_rerun_file
from tests.support.tiny_bundle import walk

HAS_RERUN = importlib.util.find_spec("rerun") is not None


def rows() -> list[MotionRow]:
    lost = walk(2)
    lost[3:] = np.nan
    motions = [Motion(sequence=each, layout=NTU25, fps=20.0) for each in (walk(1, bodies=2), lost)]
    query = MotionPanel(title="wave", motion=motions[0])
    found = [MotionPanel(title="sit", similarity=0.9, motion=motions[1]), MotionPanel(title="none", missing="gone")]
    return [MotionRow(query=query, neighbours=found)]


@pytest.mark.skipif(not HAS_RERUN, reason="the extra rerun, of 500 MB, is not installed")
def test_rerun_reads_the_recording_back(tmp_path: Path) -> None:
    path = tmp_path / "found.rrd"
    write_rerun_file(path, rows(), title="Found")
    said = subprocess.run(
        [sys.executable, "-m", "rerun_cli", "rrd", "stats", path], capture_output=True, text=True, check=True
    )
    for entity in ("/query_1/query/body", "/query_1/neighbour_1/body", "/query_1/neighbour_2/about"):
        assert entity in said.stdout
    assert "/query_1/neighbour_2/body" not in said.stdout


@pytest.mark.skipif(HAS_RERUN, reason="the extra rerun is installed")
def test_without_the_extra_it_is_named_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match="extra 'rerun'"):
        write_rerun_file(tmp_path / "found.rrd", rows(), title="Found")
    assert not (tmp_path / "found.rrd").exists()
    (tmp_path / "a.npz").touch()
    result = CliRunner().invoke(gfp, ["search", str(tmp_path / "a.npz"), "--rerun", str(tmp_path / "found.rrd")])
    assert (result.exit_code, "extra 'rerun'" in result.output) == (1, True)


def test_the_file_is_one_of_rerun(tmp_path: Path) -> None:
    result = CliRunner().invoke(gfp, ["search", str(tmp_path), "--rerun", str(tmp_path / "found.html")])
    assert (result.exit_code, "must end in .rrd" in result.output) == (2, True)
