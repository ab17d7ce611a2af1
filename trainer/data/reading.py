"""Recordings -> cleaned clips, file by file: several processes read, and the order stays."""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import Literal

import numpy as np

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError, InterruptedImportError, InvalidSkeletonError
from gfp_serve.files import open_ordinary
from gfp_serve.formats import Clip, Remark, read_clips
from gfp_serve.joint_map import JointMap
from gfp_serve.layouts import statuses
from gfp_serve.lost_joints import lost_as_nan
from gfp_serve.preprocess import MODEL_LAYOUT, CleanConfig, Cleaned, clean
from trainer.data.store import letters_of

# A bigger file is read in the main process, clip by clip: all that a worker reads of a file waits in memory.
MAX_POOLED_BYTES = 16 << 20

# A parcel of work has at most this many files and bytes.
_PARCEL_FILES, _PARCEL_BYTES = 8, 4 << 20

# A worker is worth its start only if it has at least this many files to read.
_FILES_A_WORKER = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadConfig:
    """How a recording becomes cleaned clips."""

    cleaning: CleanConfig = field(default_factory=CleanConfig)
    conventions: Conventions = Conventions()  # noqa: RUF009  (it cannot be changed)
    joint_map: JointMap | None = None
    as_published: bool = False  # keep the mistakes of published pipelines
    second_body: Literal["absent", "copy"] = "absent"  # of a clip with one body


@dataclass(frozen=True, slots=True)
class Problem:
    """A file or clip that was left out."""

    what: str  # the name of the clip, or the file's path
    reason: str
    is_file: bool

    def __str__(self) -> str:
        return self.reason if self.is_file else f"{self.what}: {self.reason}"


@dataclass(frozen=True, slots=True, eq=False)
class CleanedClip:
    """A clip that was read and cleaned."""

    clip: Clip  # as it was read, but for its sequence, which is that of `cleaned` in the model's layout
    cleaned: Cleaned
    joints: str  # see `store.letters_of`


@dataclass(frozen=True, slots=True)
class Reading:
    """One file that was read, or that is read while its outcomes are taken."""

    source: str
    file: Path
    sha256: str  # empty for a file that cannot be read
    outcomes: Iterable[CleanedClip | Problem | Remark]  # remarks say how the file was read


def read_all(files: Sequence[tuple[str, Path]], config: ReadConfig, *, num_workers: int) -> Iterator[Reading]:
    """Read each (source, file), in this order for any number of workers.

    At most a few parcels for each worker are read ahead. Raises `InterruptedImportError` when a worker dies.
    """
    num_workers = min(num_workers, len(files) // _FILES_A_WORKER)
    if num_workers < 2:
        yield from _read_here(files, config)
        return
    pool = _new_pool(num_workers)
    ahead: deque[Callable[[], Iterable[Reading]]] = deque()
    try:
        _start(pool)
        for parcel in _parcels(files):
            if parcel[0][1].stat().st_size > MAX_POOLED_BYTES:
                ahead.append(partial(_read_here, parcel, config))
            else:
                ahead.append(pool.submit(_read_parcel, parcel, config).result)
            if len(ahead) > 3 * num_workers:
                yield from ahead.popleft()()
        while ahead:
            yield from ahead.popleft()()
    except BrokenProcessPool as error:
        raise InterruptedImportError(
            "a process that reads recordings was killed, perhaps because memory ran out. Repeat the command with a "
            "smaller --num-workers: it goes on where it stopped."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _parcels(files: Sequence[tuple[str, Path]]) -> Iterator[list[tuple[str, Path]]]:
    """The files in order, in parcels. A file that is too big for the pool gets a parcel of its own."""
    parcel: list[tuple[str, Path]] = []
    num_bytes = 0
    for source, file in files:
        size = file.stat().st_size
        if parcel and (len(parcel) == _PARCEL_FILES or num_bytes + size > _PARCEL_BYTES):
            yield parcel
            parcel, num_bytes = [], 0
        parcel.append((source, file))
        num_bytes += size
    if parcel:
        yield parcel


def _new_pool(num_workers: int) -> ProcessPoolExecutor:
    # fork would copy the locks of this process's threads but not the threads; spawn would import everything again for
    # each worker.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trainer.data.reading", "gfp_serve.formats.ntu.compiled"])
    return ProcessPoolExecutor(num_workers, mp_context=context, initializer=_start_worker)


def _start(pool: ProcessPoolExecutor) -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread gets Ctrl-C and can set its handler
    # Workers ignore SIGINT: they inherit that from the fork server, which starts while this process ignores it. Only
    # this process acts on Ctrl-C, and not before the first worker has started: a half-started worker would be left.
    heard = threading.Event()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
        signal.signal(signal.SIGINT, lambda *_: heard.set())
        pool.submit(int).result()
    finally:
        signal.signal(signal.SIGINT, handler)
    if heard.is_set():
        raise KeyboardInterrupt


def _start_worker() -> None:
    threading.Thread(target=_end_with_main_process, daemon=True).start()


def _end_with_main_process() -> None:
    main = multiprocessing.parent_process()
    if main is not None:
        main.join()
        os._exit(1)  # a main process that was killed cannot tell its workers to stop


def _read_here(parcel: Sequence[tuple[str, Path]], config: ReadConfig) -> Iterator[Reading]:
    return (_read(source, file, config) for source, file in parcel)


def _read_parcel(parcel: Sequence[tuple[str, Path]], config: ReadConfig) -> list[Reading]:
    return [replace(reading, outcomes=list(reading.outcomes)) for reading in _read_here(parcel, config)]


def _read(source: str, file: Path, config: ReadConfig) -> Reading:
    try:
        with open_ordinary(file) as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        reason = f"{file} cannot be read: {error.strerror}."
        return Reading(source, file, "", [Problem(str(file), reason, is_file=True)])
    return Reading(source, file, sha256, _clean_file(file, config))


def _clean_file(file: Path, config: ReadConfig) -> Iterator[CleanedClip | Problem | Remark]:
    remarks: list[Remark] = []
    try:
        for clip in read_clips(
            file,
            conventions=config.conventions,
            joint_map=config.joint_map,
            as_published=config.as_published,
            report=remarks.append,
        ):
            yield from _as_outcomes(remarks)
            try:
                raw = clip.sequence if config.as_published else lost_as_nan(clip.sequence, clip.layout)
                cleaned = clean(raw, clip.layout, config.cleaning)
            except InvalidSkeletonError as error:
                yield Problem(clip.name, str(error), is_file=False)
                continue
            if config.second_body == "copy" and cleaned.positions.shape[1] == 1:
                cleaned = Cleaned(np.repeat(cleaned.positions, 2, axis=1), np.repeat(cleaned.known, 2, axis=1))
            ever = [bool(cleaned.known[:, :, joint].any()) for joint in range(MODEL_LAYOUT.num_joints)]
            of_layout = statuses(clip.layout, MODEL_LAYOUT)
            joints = letters_of([status if seen else "lacking" for status, seen in zip(of_layout, ever, strict=True)])
            yield CleanedClip(replace(clip, sequence=cleaned.positions, layout=MODEL_LAYOUT), cleaned, joints)
        yield from _as_outcomes(remarks)
    except DamagedFileError as error:
        yield Problem(str(file), str(error), is_file=True)


def _as_outcomes(remarks: list[Remark]) -> Iterator[Problem | Remark]:
    """Take the remarks out of the list."""
    for remark in remarks:
        yield Problem(remark.left_out, remark.text, is_file=False) if remark.left_out else remark
    remarks.clear()
