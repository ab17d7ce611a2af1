"""What a program does outside itself, read from its system calls: whom it connects to, and which files it changes.

strace sees C code, threads and children alike, which nothing within Python does. A program runs in a folder of its own,
with an empty home folder and an empty folder for temporary files; what it changes anywhere else is reported.
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

# Where matplotlib keeps which fonts the machine has, below the home folder.
FONT_LIST = (".config/matplotlib", ".cache/matplotlib")

_CANARY = "import sys, onnxruntime; sys.stdin.read()"

_TO_OTHERS = ("connect", "sendto", "sendmsg", "sendmmsg")
_OPENING = ("open", "openat", "openat2", "creat")
_CHANGING = ("mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mknod")
_CHANGING += ("mknodat", "unlink", "unlinkat", "rmdir", "truncate")
# What is asked of the kernel through a ring is not a system call, and would not be seen.
_UNSEEN = ("io_uring_setup",)

# Of devices and of the process itself: no files.
_NO_FILES = (Path("/dev"), Path("/proc"))
# Name services: DNS, DNS over TLS, multicast DNS, LLMNR. What this machine's own resolver is asked, it asks others.
_LOOKUP_PORTS = (53, 853, 5353, 5355)
_RESOLVER = "/run/systemd/resolve/"
# Read first for every name; one that is not in it on another machine is asked for elsewhere.
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
    """What a program did: calls to others than this machine, look-ups of names, and files changed outside its folders.

    All as text.
    """

    connections: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Watch:
    """A folder for one program to be watched in: it runs in `work`, and may write there and in its temporary folder."""

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
        """What to start the program with. The tracer is its grandchild, so that signals reach the program itself."""
        calls = ",".join(f"?{name}" for name in (*_TO_OTHERS, *_OPENING, *_CHANGING, *_UNSEEN))
        options = ("-D", "-f", "-qq", "--seccomp-bpf", "-y", "-s", "200", f"--trace={calls}")
        # The tests' own setting must not stand in for that of the program.
        return [*self.strace, *options, "--env=ORT_DISABLE_TELEMETRY", "--output", str(self.folder / "calls")]

    @property
    def environment(self) -> dict[str, str]:
        """Of the program: a home of its own, and no byte code written beside its sources."""
        folders = {"HOME": self.home, "XDG_CACHE_HOME": self.home / ".cache", "TMPDIR": self.folder / "temporary"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PYTHONPATH"))}
        return kept | {name: str(path) for name, path in folders.items()} | {"PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *command: object, **environment: str) -> str:
        """What the program wrote to standard output, once it has ended well."""
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
        """What was seen so far. `caches` are names below the home folder that may be written, with folders above."""
        allowed = [self.work, self.folder / "temporary", *(self.home / name for name in caches)]
        return read_calls((self.folder / "calls").read_text(errors="replace").splitlines(), self.work, allowed)


def watch(folder: Path) -> Watch:
    """Make a folder to watch a program in. Fails where processes cannot be watched; skips where there is no strace."""
    made = Watch(folder, command_of("strace"))
    for each in (made.work, made.home, folder / "temporary"):
        each.mkdir(parents=True)
    tried = subprocess.run([*made.prefix, "true"], capture_output=True, text=True)
    if tried.returncode or tried.stderr:
        pytest.fail(
            f"strace cannot watch processes here, so nobody knows what they connect to: {tried.stderr.strip()} "
            "Let this test use ptrace, in a container with --cap-add SYS_PTRACE."
        )
    return made


@contextmanager
def canary(folder: Path) -> Iterator[Callable[[], Seen]]:
    """onnxruntime as it comes, which looks for its maker: what waits until it has tried, and gives what was seen of it.

    All its connections fail, so that nothing is sent.
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
    """What the lines of strace say that a program in `work` did. A folder that is allowed is so with all below it."""
    seen = Seen()
    for name, arguments in _calls(lines):
        returned = _RETURNED.search(arguments)
        if name in _UNSEEN:
            seen.connections.append(f"{name}({arguments}: what goes through a ring cannot be watched")
        elif name in _TO_OTHERS:
            # Attempts count too: the machine of the test may just have no network.
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
    """Name of each call, and its arguments with what it returned; the halves of one that was interrupted are joined.

    One that never returned comes as it is.
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
    """Whether what is sent to this address is for others than this machine, or looks up a name."""
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
