"""`make demo` stops what it started, and `make page` serves a page."""

import json
import os
import signal
import socket
import subprocess
import sys
from urllib.request import Request, urlopen

from tests.contract.commands import ROOT

CHILD = """
import signal, sys, time

def tidy(*_):
    time.sleep(1)
    print("tidied", flush=True)
    sys.exit(130)

signal.signal(signal.SIGINT, tidy)
print("ready", flush=True)
time.sleep(60)
"""


def test_at_ctrl_c_the_running_command_may_finish_its_work():
    parent = f"import demo; demo.run('python', '-c', {CHILD!r})"
    demo = subprocess.Popen(
        [sys.executable, "-c", f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {parent}"],
        cwd=ROOT / "examples",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    while demo.stdout.readline() not in ("ready\n", ""):
        pass
    os.killpg(demo.pid, signal.SIGINT)
    output, errors = demo.communicate(timeout=30)

    assert output == "tidied\n", errors
    assert demo.returncode != 0


def test_the_page_is_served_on_the_shipped_clips_where_the_demo_has_not_run(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    page = subprocess.Popen(
        [sys.executable, ROOT / "examples" / "page.py", "--no-browser"],
        cwd=tmp_path,
        env={**os.environ, "GFP_HTTP_PORT": str(port)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert page.stdout is not None
    assert any(f"http://127.0.0.1:{port} " in line for line in iter(page.stdout.readline, "") if "The page" in line)
    call = Request(f"http://127.0.0.1:{port}/gfp_serve.v1.EmbeddingService/GetInfo", b"{}")
    call.add_header("content-type", "application/json")
    with urlopen(call) as reply:
        assert int(json.load(reply)["gallery"]["num_items"]) > 40
    page.communicate("", timeout=60)  # its input ends, as with Ctrl-D
    assert page.returncode == 1
