"""The notebook of examples/, which is kept as text, runs from the first cell to the last and shows its pictures."""

import os
import subprocess
import sys

import jupytext
import pytest

from tests.contract.commands import ROOT

NOTEBOOK = ROOT / "examples" / "quick_start.md"

# In a separate process, which talks to its kernel through files instead of ports.
RUN = """
import sys, jupytext
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

source, folder, out = sys.argv[1:]
notebook = jupytext.read(source)
kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{out}-kernel")
NotebookClient(notebook, km=kernel, timeout=240, resources={"metadata": {"path": folder}}).execute()
jupytext.write(notebook, out)
"""


@pytest.mark.timeout(300)
def test_the_notebook_runs_and_shows_its_pictures(tmp_path):
    # An empty home: neither history nor settings of the user.
    folders = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")
    environment = os.environ | dict.fromkeys(folders, str(tmp_path)) | {"PYTHONPATH": str(ROOT)}
    out = tmp_path / "quick_start.ipynb"

    ran = subprocess.run(
        [sys.executable, "-c", RUN, NOTEBOOK, NOTEBOOK.parent, out], env=environment, capture_output=True, text=True
    )

    assert ran.returncode == 0, ran.stderr
    outputs = [output for cell in jupytext.read(out).cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "70 items" in printed
    assert "sequence 6: " in printed
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    (view,) = (output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {}))
    assert view.startswith("<iframe srcdoc=")
    assert "another class" in view
