"""The bundle: the only thing that passes from trainer to server.

It is a folder, or a zip of it, with `encoder.onnx` (clips → unit vectors), `manifest.json` and `canonical.npz` (a few
raw clips with the vectors that the exporting side computed for them).
"""

import dataclasses
import hashlib
import io
import json
import typing
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from gfp_serve.array_files import (
    UNREADABLE_ARCHIVE,
    check_size,
    open_archive,
    opened_zip,
    read_arrays,
    read_member,
    words_of,
)
from gfp_serve.errors import BundleError, DamagedFileError
from gfp_serve.files import (
    read_ordinary,
    remove_unfinished,
    sync_directory,
    unfinished_files,
    write_whole,
    written_whole,
)
from gfp_serve.items import is_text
from gfp_serve.layouts import LAYOUTS, layout_named
from gfp_serve.preprocess import CleanConfig, PreprocessConfig, SampleConfig, prepare

FORMAT_VERSION = 1
MODEL_FILE, MANIFEST_FILE, CANONICAL_FILE = "encoder.onnx", "manifest.json", "canonical.npz"
# The most bytes that each file may have. No ONNX file can be larger than 2 GiB.
_FILES = {MODEL_FILE: 2 * 2**30, MANIFEST_FILE: 4 * 2**20, CANONICAL_FILE: 64 * 2**20}
# The wire cannot say larger numbers.
_LARGEST_NUMBER = 2**63 - 1

# An encoder counts as the exported one if the components of the canonical vectors differ by at most this. It is ten
# times what the export allows between torch and onnxruntime, because processors and GPUs differ.
CANONICAL_TOLERANCE = 1e-4
# The same for a model in 8 or 16 bits: where a number lies between two steps of rounding, processors may take different
# ones.
ROUNDED_TOLERANCE = 5e-3

# Names in the graph. Axes are batch, bodies, frames, joints, 3 → batch, embedding_size.
INPUT_NAME, OUTPUT_NAME = "clips", "embeddings"

# A manifest's `graph`: which operator attention is (see trainer/onnx_graph.py), or a model that multiplies in 8 bits,
# or one whose blocks compute in 16.
INT8_GRAPH, FP16_GRAPH = "int8", "fp16"
GRAPHS = ("standard", "attention", "fused", INT8_GRAPH, FP16_GRAPH)

# What the graph of an encoder computes.
Encode = Callable[[Float32[np.ndarray, "batch bodies frames joints 3"]], Float32[np.ndarray, "batch embedding_size"]]

# What json, zipfile and numpy raise for content that was altered or cut off.
_DAMAGE = (*UNREADABLE_ARCHIVE, DamagedFileError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an encoder is: everything that a server must know, so that it needs no options for it."""

    name: str  # what it is called in logs and replies, e.g. "gfp"
    embedding_size: int
    objective: str  # which objective trained it; "none" for an embedding without training
    step: int  # optimiser updates so far
    preprocess: PreprocessConfig
    data: dict[str, Any]  # what it was trained on: sources, clips, content hash, licences
    opset: int
    producer: str
    model_sha256: str
    readout: dict[str, Any] = dataclasses.field(
        default_factory=dict
    )  # how tokens become the embedding, and fitted on what
    training: dict[str, Any] | None = None  # the trainer's config; None for an embedding without training
    dimensions: list[int] = dataclasses.field(default_factory=lambda: [2, 3])  # of the joints that it takes
    compares_dimensions: bool = False  # whether embeddings of 2-D and 3-D joints can be compared
    sees_travel: bool = True  # whether clips centred on the hips are far from the same motion as it travels
    graph: str = "standard"  # one of `GRAPHS`
    # SHA-256 of the same model in standard operators, as the exporting side says; empty if the model file is in these.
    standard_sha256: str = ""
    format_version: int = FORMAT_VERSION

    @property
    def encoder_digest(self) -> str:
        """Identity of the embedding space: equal only for the same model behind the same preprocessing.

        The same weights in other operators are the same model: their vectors differ by rounding alone.
        """
        model = self.standard_sha256 or self.model_sha256
        return hashlib.sha256(f"{model}:{self.preprocess.digest}".encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "preprocess": self.preprocess.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Manifest":
        """The manifest that `to_json` wrote. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        preprocess = values["preprocess"]
        _check_types(cls, values, skip="preprocess")
        _check_types(CleanConfig, preprocess)
        _check_types(SampleConfig, preprocess)
        if values["embedding_size"] < 1:
            raise ValueError(f"embedding_size is {values['embedding_size']}; a vector has at least 1 component")
        graph, standard = values.get("graph", "standard"), values.get("standard_sha256", "")
        if graph not in GRAPHS:
            raise ValueError(f"graph is {graph[:80]!r}; it must be one of {', '.join(GRAPHS)}")
        # A graph in other operators has the identity of the standard one; the others have their own.
        if bool(standard) != (graph in ("attention", "fused")) or (standard and not _is_sha256(standard)):
            raise ValueError(f"standard_sha256 is {standard[:80]!r}, which does not fit the graph {graph!r}")
        dimensions = values.get("dimensions", [2, 3])
        if dimensions not in ([2], [3], [2, 3]) or not all(type(each) is int for each in dimensions):
            raise ValueError(f"dimensions is {dimensions}; it must be [2], [3] or [2, 3]")
        return cls(**{**values, "preprocess": PreprocessConfig.from_json(preprocess)})


@dataclass(frozen=True, slots=True)
class CanonicalClip:
    """A raw clip and the vector that the exporting side computed for it."""

    sequence: Float32[np.ndarray, "frames bodies joints 3"]
    layout: str
    embedding: Float32[np.ndarray, " embedding_size"]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle in memory."""

    manifest: Manifest
    model: bytes
    canonical: tuple[CanonicalClip, ...]

    def write(self, path: Path) -> None:
        """Write a folder, or a zip if the path ends in `.zip`. An old bundle there is replaced last.

        Raises `BundleError` when the path has something other than a bundle.
        """
        files = {
            MODEL_FILE: self.model,
            MANIFEST_FILE: (json.dumps(self.manifest.to_json(), indent=2, sort_keys=True) + "\n").encode(),
            CANONICAL_FILE: _pack_canonical(self.canonical),
        }
        _refuse_foreign(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zip":
            with written_whole(path) as file, zipfile.ZipFile(file, "w") as archive:
                for name, content in files.items():
                    # A fixed time stamp: the same bundle is the same file.
                    archive.writestr(zipfile.ZipInfo(name), content)
            return
        path.mkdir(exist_ok=True)
        # A killed export leaves them. If another is at work here, it fails; better than a mixture of two bundles.
        for name in _FILES:
            remove_unfinished(path / name)
        # The manifest goes last: `read` refuses a folder without it, and one whose model does not match it.
        for name in (CANONICAL_FILE, MODEL_FILE, MANIFEST_FILE):
            write_whole(path / name, files[name])
        sync_directory(path.parent)

    @classmethod
    def read(cls, path: Path) -> "Bundle":
        """Read and verify a bundle folder or zip. Raises `BundleError`: something is missing, altered or too new."""
        files = _read_files(path)
        try:
            values = json.loads(files[MANIFEST_FILE])
            if values["format_version"] != FORMAT_VERSION:
                raise BundleError(
                    f"{path} has bundle format {values['format_version']}; this release reads format {FORMAT_VERSION}: "
                    f"export the checkpoint again with this release."
                )
            manifest = Manifest.from_json(values)
            canonical = _unpack_canonical(files[CANONICAL_FILE], manifest.embedding_size)
        except _DAMAGE as error:
            raise BundleError(
                f"{path} is not a usable bundle ({type(error).__name__}: {words_of(error)}); copy or export it again."
            ) from error
        digest = hashlib.sha256(files[MODEL_FILE]).hexdigest()
        if digest != manifest.model_sha256:
            raise BundleError(
                f"{path}: {MODEL_FILE} has sha256 {digest[:12]}…, its manifest says {manifest.model_sha256[:12]}…; the "
                f"file was altered or cut off: copy or export the bundle again."
            )
        return cls(manifest, files[MODEL_FILE], canonical)

    def check(self, encode: Encode) -> float:
        """Run the canonical raw clips through preprocessing and `encode`; return the largest difference of a component.

        Raises `BundleError` when it is above `CANONICAL_TOLERANCE` (`ROUNDED_TOLERANCE` for a model in 8 or 16 bits),
        and when the model cannot be run.
        """
        worst = 0.0
        for number, clip in enumerate(self.canonical):
            try:
                model_input = prepare(clip.sequence, layout_named(clip.layout), self.manifest.preprocess)
                vectors = encode(model_input[None])
            except Exception as error:  # onnxruntime's errors have no common class of their own
                raise BundleError(
                    f"the encoder {self.manifest.name!r} cannot be run on canonical clip {number}: {error}. Model, "
                    f"manifest and canonical clips do not belong together: copy or export the bundle again."
                ) from error
            # Before the subtraction, which would broadcast a vector of one component.
            if vectors.shape != (1, self.manifest.embedding_size):
                raise BundleError(
                    f"the encoder {self.manifest.name!r} gives an array of shape {vectors.shape} for one clip; its "
                    f"manifest says embedding_size {self.manifest.embedding_size}: copy or export the bundle again."
                )
            difference = np.abs(vectors[0] - clip.embedding).max()
            worst = float(np.maximum(worst, difference))  # unlike max(), keeps a NaN
        allowed = ROUNDED_TOLERANCE if self.manifest.graph in (INT8_GRAPH, FP16_GRAPH) else CANONICAL_TOLERANCE
        if not worst <= allowed:
            raise BundleError(
                f"the encoder {self.manifest.name!r} gives other vectors here than where it was exported: they differ "
                f"by {worst:.2g}, and at most {allowed:g} is allowed. This machine's runtime or "
                f"preprocessing is not the exporter's: use the same release of this package, or export again."
            )
        return worst


def _check_types(config_type: type, values: dict[str, Any], *, skip: str = "") -> None:
    """Raise `ValueError` for the first value whose type is not that of its field; the field `skip` is not checked."""
    for name, hint in typing.get_type_hints(config_type).items():
        if name not in values or name == skip:
            continue
        expected = tuple(typing.get_origin(part) or part for part in typing.get_args(hint)) or (hint,)
        if (container := typing.get_origin(hint)) in (dict, list):
            expected = (container,)
        if float in expected:
            expected += (int,)  # JSON may write 1.0 as 1
        value = values[name]
        # True is an int in Python, but not a number in a manifest.
        if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
            names = " or ".join(part.__name__ for part in expected)
            raise ValueError(f"{name} is {repr(value)[:80]}; it must be of type {names}")
        if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
            raise ValueError(f"{name} is a number of more than 63 bits")
        if isinstance(value, str) and not is_text(value):
            raise ValueError(f"{name} has halves of characters (lone surrogates)")


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _refuse_foreign(path: Path) -> None:
    """Raise `BundleError` if writing a bundle to `path` would replace something else."""
    names = set()
    try:
        if path.suffix == ".zip" and path.exists():
            with zipfile.ZipFile(path) as archive:
                names = set(archive.namelist())
        elif path.exists():
            unfinished = {file for name in _FILES for file in unfinished_files(path / name)}
            names = {file.name for file in path.iterdir() if file not in unfinished}
    except (OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path} exists and is not a bundle ({error}); name a new path for --out.") from error
    foreign = sorted(names - set(_FILES))
    if foreign:
        raise BundleError(f"{path} has {foreign[0]!r} in it, which is not part of a bundle; name a new path for --out.")


def _read_files(path: Path) -> dict[str, bytes]:
    if not path.exists():
        raise BundleError(f"{path} does not exist; name a bundle, which gfp-export makes.")
    try:
        if path.is_dir():
            return {name: read_ordinary(path / name, at_most=most) for name, most in _FILES.items()}
        with open_archive(path) as archive:
            return {name: read_member(archive, name, at_most=most) for name, most in _FILES.items()}
    except _DAMAGE as error:
        which = (
            f"{Path(error.filename).name}: " if isinstance(error, OSError) and error.filename and path.is_dir() else ""
        )
        raise BundleError(
            f"{path} is not a bundle (a folder or zip with {', '.join(_FILES)}): {which}{words_of(error)}"
        ) from error


def _pack_canonical(clips: Iterable[CanonicalClip]) -> bytes:
    arrays: dict[str, Any] = {}
    for number, clip in enumerate(clips):
        arrays[f"sequence_{number}"] = clip.sequence
        arrays[f"layout_{number}"] = np.array(clip.layout)
        arrays[f"embedding_{number}"] = clip.embedding
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _unpack_canonical(content: bytes, embedding_size: int) -> tuple[CanonicalClip, ...]:
    with opened_zip(io.BytesIO(content)) as archive:
        check_size(CANONICAL_FILE, archive, len(content))
        arrays = read_arrays(archive, [name.removesuffix(".npy") for name in archive.namelist()])
    count = sum(name.startswith("sequence_") for name in arrays)
    if count == 0:
        raise BundleError(f"{CANONICAL_FILE} has no clips in it; export the bundle again.")
    return tuple(_canonical_clip(arrays, number, embedding_size) for number in range(count))


def _canonical_clip(arrays: Mapping[str, np.ndarray], number: int, embedding_size: int) -> CanonicalClip:
    layout = str(arrays[f"layout_{number}"])
    if layout not in LAYOUTS:
        raise BundleError(
            f"layout_{number} of {CANONICAL_FILE} is {layout!r}, which this release does not know; export again."
        )
    sequence, embedding = arrays[f"sequence_{number}"], arrays[f"embedding_{number}"]
    for name, array, shape in (
        (f"sequence_{number}", sequence, (*sequence.shape[:2], LAYOUTS[layout].num_joints, 3)),
        (f"embedding_{number}", embedding, (embedding_size,)),
    ):
        if array.dtype != np.float32 or array.shape != shape or 0 in shape:
            raise BundleError(
                f"{name} of {CANONICAL_FILE} is {array.dtype} of shape {array.shape}; with this manifest it must be "
                f"float32 of shape {shape}: copy or export the bundle again."
            )
    return CanonicalClip(sequence, layout, embedding)
