"""Finds or downloads programs of Debian packages for tests, without root and without changing the machine."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def command_of(package: str, *, alone: bool = False, program: str = "") -> list[str]:
    """Return the command that starts a package's program of the same name: from PATH, or from a download with apt.

    `alone`: do not download the packages that it depends on. `program`: the path of the program within the package, for
    a package whose command works only when it is installed. Skips the test if there is neither.
    """
    # Ordinary users seldom have /usr/sbin on their PATH.
    found = shutil.which(package, path=f"{os.environ['PATH']}:/usr/sbin")
    if found:
        return [found]
    if shutil.which("apt-get") is None:
        pytest.skip(f"{package} is not installed, and there is no apt-get to download it with")
    folder = cache() / package
    if not folder.exists():
        _unpack(package, folder, alone=alone)
    # Some packages keep their own libraries in a folder below the common one.
    libraries = ":".join(sorted({str(path.parent) for path in folder.glob("usr/lib/*-linux-*/**/*.so*")}))
    (path,) = folder.glob(program or f"usr/*bin/{package}")
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(path)]


def cache() -> Path:
    """Return the folder where tests keep what they fetched."""
    folder = Path(tempfile.gettempdir()) / f"gfp-tests-debian-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Somebody else may have made this folder, and we run programs from it.
    assert folder.stat().st_uid == os.getuid(), f"{folder} belongs to somebody else; remove it."
    return folder


def _unpack(package: str, folder: Path, *, alone: bool) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        planned = _apt(package, made, "install", "--simulate", "--no-install-recommends", package)
        needed = [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]
        _apt(package, made, "download", *([package] if alone else needed))
        unpacked = Path(made) / "unpacked"
        for archive in Path(made).glob("*.deb"):
            subprocess.run(["dpkg", "--extract", archive, unpacked], check=True)
        try:
            unpacked.rename(folder)
        except OSError:  # another test, running at the same time, was quicker
            if not folder.exists():
                raise


def _apt(package: str, folder: str, *arguments: str) -> str:
    done = subprocess.run(
        ["apt-get", *arguments], cwd=folder, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        pytest.skip(f"{package} is not installed and cannot be downloaded; `apt-get update` may help ({reason})")
    return done.stdout
