"""Recordings -> clip store: each clip is cleaned once, here; what cannot be used is named and left out."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gfp_serve import __version__
from gfp_serve.errors import DamagedFileError, InvalidRequestError, StoreError
from gfp_serve.files import read_ordinary
from gfp_serve.formats import Clip, Remark, files_beside, find_named_files, video
from gfp_serve.formats.clip import sayable
from gfp_serve.formats.file_names import names_of, stem
from gfp_serve.formats.folder_labels import FolderLabels
from gfp_serve.formats.remark import Remarks
from gfp_serve.formats.text import MAX_TEXT_BYTES
from gfp_serve.preprocess import PreprocessConfig
from trainer.data.reading import (
    Problem,
    ReadConfig,
    Reading,
    read_all,
)
from trainer.data.store import FORMAT_VERSION
from trainer.data.store_writer import StoreWriter

# In these formats a data set is a folder of files, so the folder is the source. In the others each file is a source.
FOLDER_SUFFIXES = {".skeleton", ".txt", ".bvh", ".amc", ".json", ".csv", ".npy", ".trc", ".c3d", *video.SUFFIXES}


_MAX_CAMERA = 32_767


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportConfig:
    """How recordings become a store."""

    read: ReadConfig = field(default_factory=ReadConfig)
    protocol: str | None = None  # splits the clips that have it into train and test; None = the data set's usual one
    test_subjects: frozenset[str] = frozenset()  # "source/subject"; the other subjects of such a source are train
    leave_out: frozenset[str] = frozenset()  # names of clips
    licences: Mapping[str, str] = field(default_factory=dict)  # source -> licence, kept in the store
    labels: FolderLabels | None = None  # win over those of the files
    strict: bool = False  # write no store when a file or clip cannot be used

    def split_of(self, source: str, clip: Clip) -> tuple[int, str]:
        """A clip's split (0 train, 1 test, -1 none) and what decided it.

        The test subjects of the source decide; without any, the protocol; if the clip does not have it, the file.
        """
        if any(subject.rpartition("/")[0] == source for subject in self.test_subjects):
            return int(f"{source}/{clip.subject}" in self.test_subjects), "--test-subject"
        if self.protocol is not None and self.protocol in clip.splits:
            return clip.splits[self.protocol], self.protocol
        return clip.split, next(iter(clip.splits), "")

    def to_json(self) -> dict[str, str]:
        """Each setting as text, to compare it with that of another import."""
        labels = {} if self.labels is None else {"--label-from": _digest_of_text(repr(self.labels.by_file))}
        conventions = [f"{name} {value}" for name, value in asdict(self.read.conventions).items() if value is not None]
        said = ", ".join(filter(None, [*conventions, repr(self.read.joint_map or "")[1:-1]]))
        return (
            labels
            | ({"conventions": said} if said else {})
            | {
                "release": __version__,
                "store format": str(FORMAT_VERSION),
                "preprocessing": PreprocessConfig(cleaning=self.read.cleaning).digest,
                "--compat": str(self.read.as_published),
                "--second-body": self.read.second_body,
                "--protocol": self.protocol or "usual",
                "--test-subject": ", ".join(sorted(self.test_subjects)) or "none",
                "--licence": json.dumps(dict(self.licences), ensure_ascii=False),
                "--leave-out": _digest_of_text("\n".join(sorted(self.leave_out))),
                "--strict": str(self.strict),
            }
        )


@dataclass(slots=True)
class ImportSummary:
    """What an import did."""

    num_files: int = 0
    num_clips: int = 0
    num_frames: int = 0
    num_listed: int = 0  # clips left out because they were listed
    num_resumed: int = 0  # files that an earlier, interrupted import had finished
    problems: list[Problem] = field(default_factory=list)
    remarks: Remarks = field(default_factory=Remarks)  # how files were read

    def __str__(self) -> str:
        files = sum(problem.is_file for problem in self.problems)
        left_out = f"{files} files and {len(self.problems) - files} clips were left out"
        listed = f", and {self.num_listed} clips that were listed to leave out" if self.num_listed else ""
        read = "1 file" if self.num_files == 1 else f"{self.num_files} files"
        clips = "1 clip" if self.num_clips == 1 else f"{self.num_clips} clips"
        return f"{clips} ({self.num_frames} frames) of {read}; {left_out}{listed}"


def find_sources(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """The recordings in files and folders, each once, by the name of their source.

    A source is called after its folder for the formats in `FOLDER_SUFFIXES`, and after its file for the others; where
    such files have the same name, after as much of the end of each path as tells them apart (see `file_names`).
    Folders of one name are one source if the recordings of the later ones are of kinds that the first one has. Raises
    `DamagedFileError` for a path without recordings and `InvalidRequestError` for two sources of one name.
    """
    files = find_named_files(paths)
    alone = [file.path for file in files if not _is_of_folder(file.path)]
    names = dict(zip(alone, names_of(alone), strict=True))
    sources: dict[str, list[Path]] = {}
    folders: dict[str, Path] = {}  # of the first file of each source
    for file in files:
        folder = (file.place if file.path != file.place else file.path.parent).resolve()
        source = names.get(file.path) or sayable(folder.name)
        known = sources.setdefault(source, [])
        same_kind = file.path.suffix.lower() in {other.suffix.lower() for other in known}
        of_folders = known and _is_of_folder(file.path) and _is_of_folder(known[0])
        if known and not (of_folders and (same_kind or folder == folders[source])):
            raise InvalidRequestError(
                f"{known[0]} and {file.path} would both be the source {source!r}; rename one of them, or its folder."
            )
        folders.setdefault(source, folder)
        known.append(file.path)
    return sources


def _is_of_folder(file: Path) -> bool:
    return file.suffix.lower() in FOLDER_SUFFIXES


def read_clip_names(path: Path) -> list[str]:
    """The names in a text file: its lines of one word, since the lists in circulation begin with a few sentences.

    Raises `DamagedFileError` for a file that cannot be read.
    """
    try:
        lines = read_ordinary(path, at_most=MAX_TEXT_BYTES).decode(errors="replace").splitlines()
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}.") from error
    return [words[0] for words in map(str.split, lines) if len(words) == 1]


def total_bytes(sources: Mapping[str, Sequence[Path]]) -> int:
    """The bytes that `import_recordings` passes to `advance` in all."""
    return sum(file.stat().st_size for files in sources.values() for file in files)


def import_recordings(
    sources: Mapping[str, Sequence[Path]],
    out: Path,
    config: ImportConfig,
    *,
    num_workers: int = 1,
    overwrite: bool = False,
    advance: Callable[[float], None] = lambda _: None,
    report: Callable[[Problem], None] = lambda _: None,
) -> ImportSummary:
    """Read, clean and store the clips of all `sources` (see `find_sources`).

    `advance` gets the bytes that were done, `report` what is left out: a damaged file, or a clip in which nobody is
    seen. The rest goes on. The number of workers does not change the store. An import that was interrupted (killed,
    Ctrl-C, disk full) goes on with the next file when it is repeated, and makes the same store.

    Raises `InterruptedImportError` when the disk is full or a worker was killed. Raises `StoreError` when no clip is
    usable or, with `strict`, when any was left out, and `InvalidRequestError` when the config names a source, subject
    or protocol that does not occur, and when some clips are 2-D and others 3-D; these leave nothing to go on with.
    """
    _check_sources(sources, config)
    files = [(source, file) for source, of_source in sources.items() for file in of_source]
    names = [name for of_source in sources.values() for name in names_of(of_source)]
    job = config.to_json() | {"sources": _listing(files)}
    summary = ImportSummary()
    sums: dict[str, list[tuple[str, str]]] = {source: [] for source in sources}
    subjects: set[str] = set()
    protocols: set[str] = set()
    files_by_dimensions: dict[int, Path] = {}

    def count(note: dict[str, Any]) -> None:
        source, file = files[summary.num_files]
        summary.num_files += 1
        summary.num_clips += note["num_clips"]
        summary.num_frames += note["num_frames"]
        summary.num_listed += note["num_listed"]
        for problem in (Problem(*values) for values in note["problems"]):
            summary.problems.append(problem)
        subjects.update(note["subjects"])
        protocols.update(note["protocols"])
        sums[source].append((note["sha256"], file.name))
        for text in note.get("remarks", []):  # imports that an earlier state of the code began have none
            summary.remarks.add(file, text)
        for number in note.get("dimensions", []):
            files_by_dimensions.setdefault(number, file)

    with StoreWriter(out, config.read.cleaning, overwrite=overwrite, job=job) as writer:
        for note in writer.notes:
            count(note)
            advance(files[summary.num_files - 1][1].stat().st_size)
        for problem in summary.problems:
            report(problem)
        summary.num_resumed = summary.num_files
        for reading in read_all(files[summary.num_files :], config.read, num_workers=num_workers):
            note = _add(reading, names[summary.num_files], writer, config, advance, report)
            writer.commit(note)
            count(note)
        for source, of_source in sums.items():
            writer.add_source(source, sha256=_digest(of_source), licence=config.licences.get(source, ""))
        if len(files_by_dimensions) > 1:
            raise InvalidRequestError(
                f"{files_by_dimensions[2]} has 2-D joints and {files_by_dimensions[3]} 3-D ones; import them into "
                f"stores of their own."
            )
        _check_subjects(subjects, config)
        _check_protocol(protocols, config)
        if config.strict and summary.problems:
            raise StoreError(
                f"{out} is not written because of --strict: {summary}. Repair or remove what cannot be used, or leave "
                f"--strict out."
            )
    return summary


def _add(
    reading: Reading,
    file_name: str,
    writer: StoreWriter,
    config: ImportConfig,
    advance: Callable[[float], None],
    report: Callable[[Problem], None],
) -> dict[str, Any]:
    """Store the clips of one file, and return what the import notes about it.

    Clips keep the names that they have in the file, unless its source has another file of that name: then they are
    called FILE/CLIP, with the file's name among the files of the source.
    """
    num_clips = num_frames = num_listed = 0
    subjects: set[str] = set()
    protocols: set[str] = set()
    dimensions: set[int] = set()
    problems: list[Problem] = []
    remarks: list[str] = []
    source, left_bytes = reading.source, float(reading.file.stat().st_size)
    prefix = "" if file_name == stem(reading.file) else f"{file_name}/"

    def leave_out(problem: Problem) -> None:
        problems.append(problem)
        report(problem)

    for outcome in reading.outcomes:
        if isinstance(outcome, Remark):
            remarks.append(outcome.text)
            continue
        if isinstance(outcome, Problem):
            leave_out(outcome if outcome.is_file else replace(outcome, what=f"{source}/{prefix}{outcome.what}"))
            continue
        clip = outcome.clip
        if config.labels is not None:
            clip = config.labels.applied_to(clip, reading.file)
        protocols.update(clip.splits)
        if clip.name in config.leave_out:
            num_listed += 1
            continue
        name = prefix + clip.name
        if f"{source}/{name}" in writer:
            reason = f"{reading.file} has a second clip of this name; rename one of them."
            leave_out(Problem(f"{source}/{name}", reason, is_file=False))
            continue
        if not -_MAX_CAMERA <= clip.camera <= _MAX_CAMERA:
            reason = f"its camera has the number {clip.camera}; a store keeps numbers up to {_MAX_CAMERA}."
            leave_out(Problem(f"{source}/{name}", reason, is_file=False))
            continue
        split, protocol = config.split_of(source, clip)
        writer.add(
            outcome.cleaned,
            source=source,
            name=name,
            label=clip.label,
            subject=clip.subject,
            camera=clip.camera,
            split=split,
            fps=clip.fps,
            protocol=protocol,
            joints=outcome.joints,
        )
        subjects.add(f"{source}/{clip.subject}")
        dimensions.add(clip.dimensions)
        num_clips += 1
        num_frames += len(clip.sequence)
        # The number of a file's clips is not known before its end, so these bytes are a guess.
        done = min(left_bytes, float(clip.sequence.nbytes))
        left_bytes -= done
        advance(done)
    advance(left_bytes)
    return {
        "sha256": reading.sha256,
        "num_clips": num_clips,
        "num_frames": num_frames,
        "num_listed": num_listed,
        "dimensions": sorted(dimensions),
        "problems": [(problem.what, problem.reason, problem.is_file) for problem in problems],
        "remarks": remarks,
        "subjects": sorted(subjects),
        "protocols": sorted(protocols),
    }


def _listing(files: Sequence[tuple[str, Path]]) -> str:
    """The files as text: their number, and a digest of the names, sizes and times of these and of the files beside."""
    stats = [(source, each, each.stat()) for source, file in files for each in (file, *files_beside(file))]
    lines = "".join(f"{source} {file.resolve()} {stat.st_size} {stat.st_mtime_ns}\n" for source, file, stat in stats)
    return f"{len(files)} files {_digest_of_text(lines)}"


def _digest_of_text(text: str) -> str:
    return _sha256(text)[:12]


def _sha256(text: str) -> str:
    # The name of a file may have bytes that are not UTF-8.
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _digest(sums: Sequence[tuple[str, str]]) -> str:
    """The sha256 of one file, or of the list that `sha256sum` prints for several."""
    if len(sums) == 1:
        return sums[0][0]
    return _sha256("".join(f"{digest}  {name}\n" for digest, name in sums))


def _check_sources(sources: Mapping[str, Sequence[Path]], config: ImportConfig) -> None:
    named = {f"--test-subject {subject}": subject.rpartition("/")[0] for subject in config.test_subjects}
    named |= {f"--licence {source}": source for source in config.licences}
    for option, source in sorted(named.items()):
        if source not in sources:
            raise InvalidRequestError(f"{option}: there is no source {source!r}; the sources are {', '.join(sources)}.")


def _check_subjects(subjects: set[str], config: ImportConfig) -> None:
    for missing in sorted(config.test_subjects - subjects):
        source = missing.rpartition("/")[0]
        known = ", ".join(sorted(subject for subject in subjects if subject.startswith(f"{source}/")))
        raise InvalidRequestError(
            f"--test-subject {missing} has no usable clip; subjects of this source with clips: {known or 'none'}."
        )


def _check_protocol(protocols: set[str], config: ImportConfig) -> None:
    if config.protocol is not None and config.protocol not in protocols:
        known = ", ".join(sorted(protocols)) or "none"
        raise InvalidRequestError(
            f"--protocol {config.protocol}: no clip has this protocol; protocols of these clips: {known}."
        )
