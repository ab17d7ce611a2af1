"""Watches a program's system calls: where it connects to, and which files it changes.

strace sees C code, threads and children, which nothing inside Python does. Each program runs in its own folder, with an
empty home folder and an empty folder for temporary files. Changes anywhere else are reported.
"""

import ipaddress
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.debian import command_of

# Matplotlib's list of the machine's fonts, below the home folder.
FONT_LIST = (".config/matplotlib", ".cache/matplotlib")

# Where one of these is set, onnxruntime takes itself to be under CI and leaves its telemetry off.
_CI = ("APPVEYOR", "BITBUCKET_BUILD_NUMBER", "BUILDKITE", "CI", "CIRCLECI", "CODEBUILD_BUILD_ID", "GITHUB_ACTIONS")
_CI += ("GITLAB_CI", "JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD", "TRAVIS")

_CANARY = "import sys, onnxruntime; sys.stdin.read()"

_TO_OTHERS = ("connect", "sendto", "sendmsg", "sendmmsg")
_OPENING = ("open", "openat", "openat2", "creat")
_CHANGING = ("mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mknod")
_CHANGING += ("mknodat", "unlink", "unlinkat", "rmdir", "truncate")
# Requests through an io_uring are not system calls, so strace would not show them.
_UNSEEN = ("io_uring_setup",)

# Devices and the process itself, not files.
_NO_FILES = (Path("/dev"), Path("/proc"))
# Name services: DNS, DNS over TLS, multicast DNS, LLMNR. This machine's own resolver passes questions on to others.
_LOOKUP_PORTS = (53, 853, 5353, 5355)
_RESOLVER = "/run/systemd/resolve/"
# Read first for every name. A name that is missing there, perhaps on another machine, is looked up elsewhere.
_NAMES = Path("/etc/hosts")
_LOCAL_FAMILIES = ("AF_UNIX", "AF_NETLINK", "AF_UNSPEC")

_CALL = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)")
_RETURNED = re.compile(r" += (?P<value>-?\d+)(?:<(?P<path>[^>]*)>)?[^=]*$")
_WRITES = re.compile(r"O_(?:W\w+|RDWR|CREAT|TRUNC|TMPFILE)")
_ADDRESS = re.compile(
    r"sa_family=(?P<family>\w+)"
    r"(?:, sin_port=htons\((?P<port4>\d+)\), sin_addr=inet_addr\(\"(?P<ip4>[\d.]+)\"\)"
    r"|, sin6_port=htons\((?P<port6>\d+)\), sin6_flowinfo=[^,]*, inet_pton\(AF_INET6, \"(?P<ip6>[^\"]+)\""
    r"|, sun_path=@?\"(?P<path>[^\"]*)\")?"
)
# A path, after the folder that it is relative to if the call names one: AT_FDCWD</folder>, "name"; 5</folder>, "name".
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')


@dataclass
class Seen:
    """What a program did, as text: connections and name look-ups outside this machine, and files changed elsewhere."""

    connections: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Watch:
    """A folder to watch one program in. It runs in `work`, and may write there and in its temporary folder."""

    folder: Path
    strace: Sequence[str]

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def prefix(self) -> list[str]:
        """The words before the program's command. strace is its grandchild, so signals reach the program itself."""
        calls = ",".join(f"?{name}" for name in (*_TO_OTHERS, *_OPENING, *_CHANGING, *_UNSEEN))
        options = ("-D", "-f", "-qq", "--seccomp-bpf", "-y", "-s", "200", f"--trace={calls}")
        # The program must turn telemetry off itself; the tests' setting must not do it.
        return [*self.strace, *options, "--env=ORT_DISABLE_TELEMETRY", "--output", str(self.folder / "calls")]

    @property
    def environment(self) -> dict[str, str]:
        """The program's variables: an empty home, no sign of CI, and no byte code beside its sources."""
        folders = {"HOME": self.home, "XDG_CACHE_HOME": self.home / ".cache", "TMPDIR": self.folder / "temporary"}
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in _CI and not name.startswith(("XDG_", "PYTHONPATH"))
        }
        return kept | {name: str(path) for name, path in folders.items()} | {"PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *command: object, **environment: str) -> str:
        """Run the program to its end; return its standard output. Fails if the program does."""
        done = subprocess.run(
            [*self.prefix, *map(str, command)],
            cwd=self.work,
            env=self.environment | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def seen(self, *, caches: Sequence[str] = ()) -> Seen:
        """Return what was seen so far. `caches` are names below the home folder that the program may write."""
        allowed = [self.work, self.folder / "temporary", *(self.home / name for name in caches)]
        return read_calls((self.folder / "calls").read_text(errors="replace").splitlines(), self.work, allowed)


def watch(folder: Path) -> Watch:
    """Make a folder to watch a program in. Fails if processes cannot be watched; skips without strace."""
    made = Watch(folder, command_of("strace"))
    for each in (made.work, made.home, folder / "temporary"):
        each.mkdir(parents=True)
    tried = subprocess.run([*made.prefix, "true"], capture_output=True, text=True)
    if tried.returncode or tried.stderr:
        pytest.fail(
            f"strace cannot watch processes here, so this test cannot see their connections: {tried.stderr.strip()} "
            "Let this test use ptrace, in a container with --cap-add SYS_PTRACE."
        )
    return made


@contextmanager
def canary(folder: Path) -> Iterator[Callable[[], Seen]]:
    """Start onnxruntime with its telemetry on; give a function that waits for its attempt to connect, and returns it.

    All its connections fail, so it sends nothing.
    """
    watched = watch(folder)
    with subprocess.Popen(
        [
            *watched.prefix,
            f"--inject={','.join(_TO_OTHERS)}:error=ENETUNREACH",
            "--output=/dev/stderr",
            sys.executable,
            "-c",
            _CANARY,
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=watched.environment,
        cwd=watched.work,
    ) as running:
        lines: list[str] = []
        tried = threading.Event()

        def read() -> None:
            for line in running.stderr or ():
                lines.append(line)
                if read_calls([line], watched.work, []).connections:
                    tried.set()

        reader = threading.Thread(target=read)
        reader.start()

        def seen() -> Seen:
            assert tried.wait(60), lines
            assert running.stdin is not None
            running.stdin.close()
            reader.join()
            return read_calls(lines, watched.work, [watched.work])

        try:
            yield seen
        finally:
            running.kill()
            reader.join()


def read_calls(lines: Iterable[str], work: Path, allowed: Sequence[Path]) -> Seen:
    """Read from lines of strace what a program in `work` did. It may write everywhere below the `allowed` folders."""
    seen = Seen()
    for name, arguments in _calls(lines):
        returned = _RETURNED.search(arguments)
        if name in _UNSEEN:
            seen.connections.append(f"{name}({arguments}: what goes through a ring cannot be watched")
        elif name in _TO_OTHERS:
            # Attempts count too: the test's machine may have no network.
            seen.connections += [f"{name}({arguments}" for found in _ADDRESS.finditer(arguments) if _leaves(found)]
        elif returned is None or int(returned["value"]) < 0:
            continue
        elif name in _OPENING and returned["path"] == str(_NAMES):
            seen.connections.append(f"{name}({arguments}: a name was looked up")
        elif name in _CHANGING or name == "creat" or _WRITES.search(arguments):
            paths = [Path(path) for path in ([returned["path"]] if returned["path"] else _paths(arguments, work))]
            above = [parent for folder in allowed for parent in folder.parents] if name.startswith("mkdir") else []
            seen.files += [f"{name} {path}" for path in paths if not _may_change(path, allowed) and path not in above]
    return seen


def _calls(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Return each call's name, and its arguments with its result. The two halves of an interrupted call are joined.

    A call that never returned has no result.
    """
    begun: dict[str, tuple[str, str]] = {}
    for line in lines:
        if resumed := _RESUMED.match(line):
            name, arguments = begun.pop(resumed["pid"], ("", ""))
            if name:
                yield name, arguments + resumed["rest"]
        elif called := _CALL.match(line):
            if called["rest"].endswith(" <unfinished ...>"):
                begun[called["pid"]] = called["name"], called["rest"].removesuffix(" <unfinished ...>")
            else:
                yield called["name"], called["rest"]
    yield from begun.values()


def _leaves(address: re.Match[str]) -> bool:
    """Return whether this address is outside this machine, or answers look-ups of names."""
    if address["family"] in _LOCAL_FAMILIES:
        return (address["path"] or "").startswith(_RESOLVER)
    found, port = address["ip4"] or address["ip6"], address["port4"] or address["port6"]
    if found is None or int(port) in _LOOKUP_PORTS:
        return True
    ip = ipaddress.ip_address(found)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return not (ip.is_loopback or ip.is_unspecified)


def _paths(arguments: str, work: Path) -> list[str]:
    return [os.path.normpath(work / (found["folder"] or "") / found["path"]) for found in _PATH.finditer(arguments)]


def _may_change(path: Path, allowed: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in (*_NO_FILES, *allowed))
