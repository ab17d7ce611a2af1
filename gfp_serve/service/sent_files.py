"""Files that callers send, read in processes of their own: this is the server's side, `file_reading` the other."""

import asyncio
import re
import time
from pathlib import Path

from gfp_serve.batching.admission import Admission
from gfp_serve.config import Limits
from gfp_serve.conventions import Conventions
from gfp_serve.errors import InvalidRequestError, NotWritableError, in_field, quoted
from gfp_serve.formats import READERS, video, without_joints
from gfp_serve.own_process import BoundPassedError, Bounds, OwnProcessError, folder_of_its_own, in_thread, run
from gfp_serve.pose import VideoPart
from gfp_serve.service.file_reading import PROBLEM, REPLY, SENT, Asked
from gfp_serve.v1 import view_pb2

_READER = "gfp_serve.service.file_reading"

# A minute of video takes half a minute of one core.
_SECONDS = 180.0
# MediaPipe takes 0.4 GiB of this for itself.
_MEMORY_BYTES = 2 * 2**30

# Files that may be read or wait, for each that may be read at the same time.
_ADMITTED_FOR_EACH = 4

# Some readers take labels from the name. Anything else in it could be a path, or an option.
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_NAME = 100


class SentFiles:
    """Reads files in processes of their own, at most `most` at a time; none if that is 0."""

    def __init__(self, limits: Limits, most: int) -> None:
        self._limits = limits
        self._most = most
        self._places = asyncio.Semaphore(most)
        self._room = Admission(
            max(1, most) * _ADMITTED_FOR_EACH,
            what="files are read or wait for it",
            setting="--max-file-reads",
        )

    async def read(self, request: view_pb2.ReadFileRequest) -> bytes:
        """The bytes of the reply.

        Raises `InvalidRequestError` for a file that cannot be read within the bounds, and `OverloadedError`.
        """
        asked = self._check(request)
        with self._room.admit(1):
            async with self._places:
                started = time.perf_counter()
                reply = await self._read(asked, request)
                self._room.measured((time.perf_counter() - started) / self._most)
        return reply

    async def _read(self, asked: Asked, request: view_pb2.ReadFileRequest) -> bytes:
        bounds = Bounds(seconds=_SECONDS, memory_bytes=_MEMORY_BYTES, file_bytes=self._limits.max_message_bytes + 2**16)
        try:
            with in_field("content"), folder_of_its_own() as folder:
                await in_thread(lambda: _write(folder, asked, request))
                await run(_READER, folder, bounds)
                return await asyncio.to_thread(_outcome, folder)
        except OwnProcessError as error:
            if isinstance(error, BoundPassedError):
                advice = "send a part of it, or" if asked.is_video else "send a smaller one, or"
            else:
                advice = "it may be damaged, and the server's log may say more;"
            raise InvalidRequestError(
                f"{asked.name} could not be read here: {error.message}; {advice} read it elsewhere, with `gfp add` or "
                f"`gfp-pose`.",
                field="content",
            ) from error
        except OSError as error:
            raise NotWritableError(
                f"the server cannot write temporary files ({error.strerror}), so it reads none; its operator can give "
                f"it room, or another folder by the environment variable TMPDIR."
            ) from error

    def _check(self, request: view_pb2.ReadFileRequest) -> Asked:
        if self._most == 0:
            raise InvalidRequestError(
                "this server reads no files (--max-file-reads 0); read them where they are, with `gfp add`."
            )
        name, suffix = _safe_name(request.name)
        is_video = suffix in video.SUFFIXES
        if (request.start_s or request.end_s) and not is_video:
            with in_field("start_s" if request.start_s else "end_s"):
                raise InvalidRequestError(
                    f"{name} is not a video, and only videos have parts; leave start and end out."
                )
        if is_video:
            with in_field("end_s" if request.end_s else "start_s"):
                try:
                    VideoPart(start=request.start_s, end=request.end_s or None)
                except ValueError as error:
                    raise InvalidRequestError(str(error).replace("--", "")) from error
        said = request.conventions
        least = said.min_confidence if said.HasField("min_confidence") else None
        try:
            Conventions.from_texts(said.up, said.unit, said.hand)
            Conventions(min_confidence=least)
        except InvalidRequestError as error:
            error.field = f"conventions.{error.field}" if error.field else "conventions"
            raise
        return Asked(
            name=name,
            is_video=is_video,
            max_bytes=self._limits.max_message_bytes,
            up=said.up,
            unit=said.unit,
            hand=said.hand,
            min_confidence=least,
            start_s=request.start_s,
            end_s=request.end_s or None,
        )


def _safe_name(name: str) -> tuple[str, str]:
    """A name for the file, without folders, and its suffix. Raises `InvalidRequestError` for what cannot be read."""
    last = re.split(r"[/\\]", name)[-1]
    stem, dot, suffix = last.rpartition(".")
    suffix = (dot + suffix).lower()
    with in_field("name"):
        if suffix == ".amc":
            raise InvalidRequestError(
                "a motion of Acclaim (.amc) has its skeleton in another file (.asf), so it cannot be read alone; add "
                "both from their folder, with `gfp add`."
            )
        if suffix not in READERS:
            if reason := without_joints.why(Path(f"file{suffix}")):
                raise InvalidRequestError(f"{quoted(last)} cannot be read: {reason}")
            suffixes = ", ".join(each for each in READERS if each != ".amc")
            raise InvalidRequestError(f"{quoted(last)} is not of a known format; recordings end in {suffixes}.")
    return (_UNSAFE.sub("_", stem).strip("._-")[:_LONGEST_NAME] or "file") + suffix, suffix


def _write(folder: Path, asked: Asked, request: view_pb2.ReadFileRequest) -> None:
    content = request.content  # a copy
    if not content:
        raise InvalidRequestError(f"{asked.name} is empty; send the bytes of a file.")
    asked.write(folder)
    # Some readers look for labels in the folders around a file; these are empty.
    (folder / SENT).mkdir(parents=True)
    (folder / SENT / asked.name).write_bytes(content)


def _outcome(folder: Path) -> bytes:
    """The reply. Raises `InvalidRequestError` with the reader's words if there is none."""
    if (folder / PROBLEM).exists():
        raise InvalidRequestError((folder / PROBLEM).read_text())
    return (folder / REPLY).read_bytes()
