"""A teacher: an encoder in a bundle, whose vectors of whole clips another encoder learns to give at a lower cost.

It is asked once for each clip, as it is and mirrored, before the first step. What it said is kept in the run's folder:
a teacher may take a third of a second for a clip, and a run may be stopped and resumed.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int

from gfp_serve.bundle import Bundle, Encode
from gfp_serve.errors import DamagedFileError, GfpError
from gfp_serve.extras import load
from gfp_serve.files import open_ordinary, read_ordinary, write_whole, written_whole
from trainer.data.general_views import mirror
from trainer.data.model_input import ModelInput
from trainer.data.store import ClipStore

FOLDER = "teacher"
_FACTS_FILE = "teacher.json"
_CHUNK_CLIPS = 64
# Of what a damaged file may make us read or reserve.
_LARGEST_FACTS, _LARGEST_SIZE = 4 * 2**20, 65_536


class TeacherError(GfpError):
    """A teacher cannot be asked, or what it said is missing or of other clips."""


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """What a teacher said of the clips of a store."""

    name: str
    digest: str  # of its encoder
    data: dict[str, Any]  # what it was trained on
    # Unit vectors of each clip as it is, then mirrored; 0 for clips that are not learned from. The teacher saw the body
    # that moves most, as lessons do.
    vectors: Float32[np.ndarray, "2 clips size"]

    def origin(self) -> dict[str, Any]:
        """What the checkpoint of a run says of its teacher."""
        return {"name": self.name, "digest": self.digest, "data": self.data}


def ask(
    bundle: Bundle,
    store: ClipStore,
    clips: Int[np.ndarray, " clips"],
    run: Path,
    *,
    show: Callable[[int, int], None] = lambda *_: None,
) -> Teacher:
    """Ask a teacher of these clips, given by their store index. What it said before is read from the run's folder.

    `show` gets the numbers of clips done and of all clips. Raises `TeacherError` when the folder has the answers of
    another teacher, or of other clips. The store's clips must be cleaned as the teacher needs them.
    """
    folder = run / FOLDER
    manifest = bundle.manifest
    facts = {
        "name": manifest.name,
        "digest": manifest.encoder_digest,
        "data": manifest.data,
        "size": manifest.embedding_size,
        "clips_sha256": store.content_digest,
        "clips": len(clips),
    }
    folder.mkdir(parents=True, exist_ok=True)
    if (before := _facts(folder)) is None:
        if any(folder.glob("*.npy")):
            raise TeacherError(f"{folder} has answers and does not say whose ({_FACTS_FILE}); delete that folder.")
        write_whole(folder / _FACTS_FILE, json.dumps(facts, indent=1) + "\n")
    elif before != json.loads(json.dumps(facts)):
        raise TeacherError(
            f"{folder} has the answers of {before['name']!r} of {before['clips']} clips, another teacher or other "
            f"clips; name the teacher and the store that the run was started with, or start a new run."
        )
    encode: Encode | None = None
    given = ModelInput(store, manifest.preprocess.sampling)
    for start in range(0, len(clips), _CHUNK_CLIPS):
        path = folder / _chunk_name(start)
        if not path.exists():
            encode = encode or _encode_by(bundle)
            said = _said(encode, given, clips[start : start + _CHUNK_CLIPS])
            with written_whole(path) as file:
                np.save(file, said)
        show(min(start + _CHUNK_CLIPS, len(clips)), len(clips))
    return read(store, clips, run)


def read(store: ClipStore, clips: Int[np.ndarray, " clips"], run: Path) -> Teacher:
    """What a teacher said of these clips in an earlier part of the run.

    Raises `TeacherError` when it is not there, not whole, or of other clips.
    """
    folder = run / FOLDER
    facts = _facts(folder)
    if facts is None:
        raise TeacherError(f"{folder} is not there; give --teacher, the bundle that the run learned from.")
    if (facts["clips_sha256"], facts["clips"]) != (store.content_digest, len(clips)):
        raise TeacherError(f"{folder} has the answers of other clips; name the store that the run was started with.")
    vectors = np.zeros((2, len(store), facts["size"]), dtype=np.float32)
    for start in range(0, len(clips), _CHUNK_CLIPS):
        chosen = clips[start : start + _CHUNK_CLIPS]
        vectors[:, chosen] = _read_chunk(folder / _chunk_name(start), (2, len(chosen), facts["size"]))
    return Teacher(facts["name"], facts["digest"], facts["data"], vectors)


def _facts(folder: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(read_ordinary(folder / _FACTS_FILE, at_most=_LARGEST_FACTS))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, DamagedFileError) as error:
        raise TeacherError(f"{folder / _FACTS_FILE} is damaged ({error}); delete {folder} and ask again.") from error
    kinds = {"name": str, "digest": str, "data": dict, "size": int, "clips_sha256": str, "clips": int}
    is_sound = isinstance(facts, dict) and all(isinstance(facts.get(key), kind) for key, kind in kinds.items())
    if not is_sound or not 1 <= facts["size"] <= _LARGEST_SIZE:
        raise TeacherError(f"{folder / _FACTS_FILE} is not what gfp-train writes; delete {folder} and ask again.")
    return dict(facts)


def _read_chunk(path: Path, shape: tuple[int, ...]) -> Float32[np.ndarray, "2 clips size"]:
    problem = f"it must be float32 of shape {shape}, and finite"
    try:
        with open_ordinary(path) as file:
            said = np.load(file, allow_pickle=False)
        if said.dtype == np.float32 and said.shape == shape and np.isfinite(said).all():
            return said
    except (OSError, ValueError, EOFError, DamagedFileError) as error:
        problem = str(error)
    raise TeacherError(
        f"{path} is missing or damaged ({problem}); delete it and give --teacher, which is then asked again."
    )


def _chunk_name(start: int) -> str:
    return f"{start:07d}.npy"


def _encode_by(bundle: Bundle) -> Encode:
    # It needs onnxruntime; training without a teacher does not.
    return load("gfp_serve.encoder").Encoder(bundle).encode


def _said(encode: Encode, given: ModelInput, clips: Int[np.ndarray, " clips"]) -> Float32[np.ndarray, "2 clips size"]:
    bodies = []
    for clip in clips:
        shown = given.served(int(clip)).copy()
        # A teacher that always sees two bodies gets nobody as the other.
        shown[1:] = 0
        bodies.append(shown if given.sampling.keep_absent_bodies else shown[:1])
    seen = torch.from_numpy(np.stack(bodies))  # clips, bodies, frames, joints, 3
    mirrored = mirror(seen.flatten(0, 1)).view(seen.shape)
    return np.stack([encode(np.ascontiguousarray(each.numpy())) for each in (seen, mirrored)])
