"""Recordings -> clip store: every clip is cleaned once, here, and what cannot be used is named."""

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import DamagedFileError, InvalidRequestError, InvalidSkeletonError, StoreError
from gfp_serve.formats import Clip, find_files, read_clips
from gfp_serve.preprocess import PreprocessConfig, clean
from trainer.store import StoreWriter

# In these formats a file is one clip, so that a folder of them is the source. Else each file is a source of its own.
ONE_CLIP_SUFFIXES = {".skeleton"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportConfig:
    """How recordings become a store, besides where they are."""

    preprocess: PreprocessConfig
    test_subjects: frozenset[str] = frozenset()  # "source/subject": test; the others of such a source: train
    licences: Mapping[str, str] = field(default_factory=dict)  # source -> licence, kept in the store
    strict: bool = False  # any problem: no store

    def split_of(self, source: str, clip: Clip) -> int:
        """0 train, 1 test, -1 none: the file's own split, unless test subjects are chosen for this source."""
        if not any(subject.startswith(f"{source}/") for subject in self.test_subjects):
            return clip.split
        return int(f"{source}/{clip.subject}" in self.test_subjects)


@dataclass(frozen=True, slots=True)
class Problem:
    """A file or clip that was left out."""

    what: str  # "source/clip", or the file's path
    reason: str
    is_file: bool

    def __str__(self) -> str:
        return self.reason if self.is_file else f"{self.what}: {self.reason}"


@dataclass(slots=True)
class ImportSummary:
    """What an import did."""

    num_files: int = 0
    num_clips: int = 0
    num_frames: int = 0
    problems: list[Problem] = field(default_factory=list)

    def __str__(self) -> str:
        files = sum(problem.is_file for problem in self.problems)
        left_out = f"{files} files and {len(self.problems) - files} clips were left out"
        return f"{self.num_clips} clips ({self.num_frames} frames) of {self.num_files} files; {left_out}"


def find_sources(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """The recordings in files and folders, by source: a file's stem, or the folder's name where a file is one clip.

    Raises `DamagedFileError` for a path that holds no recording, `InvalidRequestError` for two sources of one name.
    """
    sources: dict[str, list[Path]] = {}
    for path in paths:
        folder = (path if path.is_dir() else path.parent).resolve().name
        for file in find_files(path):
            one_clip = file.suffix in ONE_CLIP_SUFFIXES
            known = sources.setdefault(folder if one_clip else file.stem, [])
            if known and not (one_clip and known[0].suffix == file.suffix):
                raise InvalidRequestError(
                    f"{known[0]} and {file} would both be the source {file.stem!r}; rename one of them."
                )
            known.append(file)
    return sources


def total_bytes(sources: Mapping[str, Sequence[Path]]) -> int:
    """What `advance` of `import_recordings` adds up to."""
    return sum(file.stat().st_size for files in sources.values() for file in files)


def import_recordings(
    sources: Mapping[str, Sequence[Path]],
    out: Path,
    config: ImportConfig,
    *,
    overwrite: bool = False,
    advance: Callable[[float], None] = lambda _: None,
    report: Callable[[Problem], None] = lambda _: None,
) -> ImportSummary:
    """Read, clean and store all clips of `find_sources`; tell bytes done to `advance`, what is left out to `report`.

    A damaged file, or a clip in which nobody is seen, is left out and the rest goes on. Raises `StoreError` when no
    clip is usable, or with `strict` when any was left out, and `InvalidRequestError` when the config names a source or
    subject that does not occur: then there is no store, as after any other exception.
    """
    _check_sources(sources, config)
    summary = ImportSummary()
    subjects: set[str] = set()
    with StoreWriter(out, config.preprocess, overwrite=overwrite) as writer:
        for source, files in sources.items():
            writer.add_source(source, sha256=_digest(files), licence=config.licences.get(source, ""))
            for file in files:
                summary.num_files += 1
                for outcome in _clean_file(file, source, config.preprocess, writer, advance):
                    if isinstance(outcome, Problem):
                        summary.problems.append(outcome)
                        report(outcome)
                        continue
                    clip, cleaned = outcome
                    writer.add(
                        cleaned,
                        source=source,
                        name=clip.name,
                        label=clip.label,
                        subject=clip.subject,
                        camera=clip.camera,
                        split=config.split_of(source, clip),
                        fps=clip.fps,
                    )
                    subjects.add(f"{source}/{clip.subject}")
                    summary.num_clips += 1
                    summary.num_frames += len(cleaned)
        _check_subjects(subjects, config)
        if config.strict and summary.problems:
            raise StoreError(f"{out} is not written, because of --strict: {summary}.")
    return summary


def _clean_file(
    file: Path, source: str, preprocess: PreprocessConfig, taken: Container[str], advance: Callable[[float], None]
) -> Iterator[tuple[Clip, Float32[np.ndarray, "frames bodies 25 3"]] | Problem]:
    num_bytes = file.stat().st_size
    try:
        # Readers load a file whole, so that a list of its clips takes no more memory and says how far we are.
        clips = list(read_clips(file))
    except DamagedFileError as error:
        advance(num_bytes)
        yield Problem(str(file), str(error), is_file=True)
        return
    for clip in clips:
        name = f"{source}/{clip.name}"
        try:
            cleaned = clean(clip.sequence, clip.layout, preprocess)
        except InvalidSkeletonError as error:
            yield Problem(name, str(error), is_file=False)
        else:
            if name in taken:
                yield Problem(name, f"{file} gives a second clip of this name; rename one of them.", is_file=False)
            else:
                yield clip, cleaned
        advance(num_bytes / len(clips))


def _digest(files: Sequence[Path]) -> str:
    """The sha256 of one file, or of the list that `sha256sum` prints for several."""
    sums = [(_sha256(file), file.name) for file in files]
    if len(sums) == 1:
        return sums[0][0]
    return hashlib.sha256("".join(f"{digest}  {name}\n" for digest, name in sums).encode()).hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _check_sources(sources: Mapping[str, Sequence[Path]], config: ImportConfig) -> None:
    named = {f"--test-subject {subject}": subject.rpartition("/")[0] for subject in config.test_subjects}
    named |= {f"--licence {source}": source for source in config.licences}
    for option, source in sorted(named.items()):
        if source not in sources:
            raise InvalidRequestError(f"{option}: there is no source {source!r}; there are {', '.join(sources)}.")


def _check_subjects(subjects: set[str], config: ImportConfig) -> None:
    for missing in sorted(config.test_subjects - subjects):
        source = missing.rpartition("/")[0]
        known = ", ".join(sorted(subject for subject in subjects if subject.startswith(f"{source}/")))
        raise InvalidRequestError(f"--test-subject {missing} has no usable clip; this source has {known or 'none'}.")
