"""Files that have motion and yet no places of joints, and how these are made of it."""

from pathlib import Path

from gfp_serve.array_files import UNREADABLE_ARCHIVE, open_archive
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import humanml3d
from gfp_serve.formats.npy_array import open_array

_FROM_BLENDER = "Open it in Blender and export the armature as Motion Capture (.bvh)."
_BY_SUFFIX = {
    ".fbx": f"FBX is not read. {_FROM_BLENDER}",
    ".glb": f"glTF is not read. {_FROM_BLENDER}",
    ".gltf": f"glTF is not read. {_FROM_BLENDER}",
    ".vrm": "VRM is not read. Open it in Blender with the VRM add-on and export the armature as Motion Capture (.bvh).",
    ".asf": "a skeleton of Acclaim has no motion. Name its .amc files, or the folder of both.",
}
_BODY_MODEL = (
    "it has the parameters of a body model (SMPL, SMPL-H or SMPL-X, as in AMASS), and not the places of joints. Run "
    "the model, for example with the package smplx; take the first 22 joints, in metres; and write them with "
    "gfp_serve.formats.write_clip_file as layout smpl22 or smplx22. AMASS has z up."
)
_FEATURES = (
    "it has the 263 features of HumanML3D (new_joint_vecs), and not the places of joints. Give the file of the same "
    "name in new_joints, or make joints of the features with HumanML3D's recover_from_ric."
)
# Arrays that say how a body model is posed.
_POSES = {"poses", "pose_body", "smpl_poses", "body_pose", "root_orient"}
_FURTHER = {"trans", "betas", "transl", "gender"}


def why(path: Path) -> str:
    """Why a file has no joints, and what to do, as a sentence that goes behind its name. Empty for any other file."""
    suffix = path.suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if suffix == ".npz" and _is_body_model(path):
        return _BODY_MODEL
    if suffix == ".npy" and _is_features(path):
        return _FEATURES
    return ""


def _is_body_model(path: Path) -> bool:
    try:
        with open_archive(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
    except UNREADABLE_ARCHIVE:
        return False
    return "positions" not in names and bool(names & _POSES) and bool(names & _FURTHER)


def _is_features(path: Path) -> bool:
    try:
        return humanml3d.is_features(open_array(path))
    except DamagedFileError:
        return False
