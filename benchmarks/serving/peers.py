"""Other servers of the same model, each in its own environment."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from benchmarks.serving.processes import ROOT, child
from gfp_serve.bundle import Bundle

HERE = Path(__file__).parent
# MLServer 1.7 does not start its workers with a newer uvloop.
PACKAGES = {"mlserver": ["mlserver==1.7.1", "uvloop==0.21.0"], "ray": ["ray[serve]==2.60.0"]}


def environment(work: Path, name: str) -> Path:
    """Return the folder of programs of an environment with this server. Makes the environment if needed."""
    folder = work / "environments" / name
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        wanted = [*PACKAGES[name], f"onnxruntime=={version('onnxruntime')}"]
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *wanted], check=True)
        (folder / "ready").touch()
    return folder / "bin"


@contextmanager
def mlserver(work: Path, bundle: Path, *, workers: int, port: int) -> Iterator[str]:
    """Start MLServer and give its address. `workers` counts its inference processes; 0: the server does inference."""
    folder = work / f"mlserver-{workers}"
    folder.mkdir(exist_ok=True)
    model = folder / "encoder.onnx"
    model.write_bytes(Bundle.read(bundle).model)
    about = {"name": "encoder", "implementation": "mlserver_runtime.Encoder", "parameters": {"uri": str(model)}}
    (folder / "model-settings.json").write_text(json.dumps(about))
    ports = {"grpc_port": port, "http_port": port + 1, "metrics_port": port + 2}
    (folder / "settings.json").write_text(json.dumps({**ports, "host": "127.0.0.1", "parallel_workers": workers}))
    programs = environment(work, "mlserver")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    with child(
        [str(programs / "mlserver"), "start", str(folder)], "gRPC server running", PYTHONPATH=str(HERE), PATH=path
    ):
        yield f"127.0.0.1:{port}"


@contextmanager
def ray_serve(work: Path, bundle: Path, *, port: int) -> Iterator[str]:
    model = work / "ray.onnx"
    model.write_bytes(Bundle.read(bundle).model)
    command = [str(environment(work, "ray") / "python"), str(HERE / "ray_app.py"), str(model), str(port)]
    with child(command, "ray serve is ready", PYTHONPATH=str(ROOT)):
        yield f"127.0.0.1:{port}"


@contextmanager
def bare(bundle: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the bare gRPC server; give its process and its address."""
    command = [sys.executable, "-m", "benchmarks.serving.bare_server", str(bundle), *options]
    with child(command, r"serving on (\S+) ") as started:
        yield started
