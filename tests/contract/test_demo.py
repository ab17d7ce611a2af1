"""`make demo` stops what it started."""

import os
import signal
import subprocess
import sys

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
