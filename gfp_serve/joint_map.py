"""Joint maps: a small file in which people say which joints of their skeleton are which, and how it is meant.

It is TOML::

    [joints]
    "mixamorig:Hips" = "SpineBase"
    "mixamorig:LeftArm" = "ShoulderLeft"

    [conventions]
    up = "z"

Joints that the map does not name are left out. Several markers may stand around one joint: then they are all called by
it, and the joint is in their middle.
"""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError, InvalidRequestError, UnknownLayoutError
from gfp_serve.files import MAX_SMALL_FILE_BYTES, read_ordinary
from gfp_serve.layouts import NTU25, STANDARD_NAMES, Layout, joint_sources, kept_parent, standard_name


class OtherSkeletonError(DamagedFileError):
    """A joint map is for another skeleton: a file has none of its joints."""


@dataclass(frozen=True, slots=True)
class JointMap:
    """`joints` has the standard name of each joint that is used, by its own name. All others are left out."""

    joints: Mapping[str, str]
    conventions: Conventions = Conventions()  # noqa: RUF009  (it cannot be changed)

    @property
    def names_by_joint(self) -> dict[str, list[str]]:
        """The other way round: for each standard name the joints or markers that are called by it."""
        return {
            called: [name for name in self.joints if self.joints[name] == called] for called in self.joints.values()
        }

    def check_has_joints(self, names: Sequence[str]) -> None:
        """Raise `OtherSkeletonError` when none of these is in the map."""
        if not any(name in names for name in self.joints):
            raise OtherSkeletonError(f"it has no joint of the joint map; its joints are {', '.join(names)[:1000]}.")

    def about_absent(self, names: Sequence[str]) -> str:
        """A sentence on the joints of the map that are not among these; empty if all are."""
        absent = [name for name in self.joints if name not in names]
        return f"it does not have {', '.join(absent)[:300]}, which the joint map names." if absent else ""

    def layout_of(self, names: Sequence[str], parents: Sequence[int]) -> tuple[Layout, list[int]]:
        """The joints of a skeleton that the map names, as a layout, and their indices; parents come before children.

        Joints of the map that the skeleton does not have are left out. Raises `OtherSkeletonError` when it has none of
        them, and `DamagedFileError` when two are called the same, and when hips or shoulders are not among them.
        """
        self.check_has_joints(names)
        for joint, several in self.names_by_joint.items():
            if len(several) > 1:
                raise DamagedFileError(
                    f"the joint map calls {' and '.join(map(repr, several))} {joint!r}. Only markers (.trc, .c3d) may "
                    f"stand around one joint; leave the others out."
                )
        kept = [index for index, name in enumerate(names) if name in self.joints and name not in names[:index]]
        used = [names[index] for index in kept]
        called = {name: self.joints[name] for name in used if name != self.joints[name]}
        layout = Layout("custom", tuple(used), tuple(kept_parent(index, parents, kept) for index in kept), called)
        try:
            joint_sources(layout, NTU25)
        except UnknownLayoutError as error:
            absent = f" {self.about_absent(names).capitalize()}" if self.about_absent(names) else ""
            raise DamagedFileError(f"the joint map says too little: {error}{absent}") from error
        return layout, kept


def read_joint_map(path: Path) -> JointMap:
    """Read a joint map. Raises `InvalidRequestError`, which names the file and what is wrong in it."""
    try:
        content = tomllib.loads(read_ordinary(path, at_most=MAX_SMALL_FILE_BYTES).decode())
    except OSError as error:
        raise InvalidRequestError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(f"{path} is not TOML: {error}.") from error
    joints, said = content.pop("joints", {}), content.pop("conventions", {})
    if joints == {} and set(content) <= {"joints"}:
        raise InvalidRequestError(
            f'{path} names no joint yet; it needs lines like "LeftArm" = "ShoulderLeft" in [joints].'
        )
    if content or not isinstance(joints, dict) or not joints or not isinstance(said, dict):
        raise InvalidRequestError(
            f'{path} is not a joint map: it needs a table [joints] of lines like "LeftArm" = "ShoulderLeft", and may '
            "have a table [conventions] with up, unit and hand."
        )
    for name, standard in joints.items():
        if not isinstance(standard, str) or standard not in STANDARD_NAMES:
            if not isinstance(standard, str):
                raise InvalidRequestError(f"{path}: {name!r} must be called by one of our names, as a text.")
            spelt = standard_name(standard)
            near = [spelt] if spelt in STANDARD_NAMES else difflib.get_close_matches(standard, STANDARD_NAMES, n=3)
            advice = f"did you mean {' or '.join(near)}?" if near else f"ours are {', '.join(sorted(STANDARD_NAMES))}."
            raise InvalidRequestError(
                f"{path}: {name!r} is called {standard!r}, which is not one of our names; {advice}"
            )
    unknown = set(said) - {"up", "unit", "hand"}
    if unknown or not all(isinstance(value, str) for value in said.values()):
        raise InvalidRequestError(f"{path}: [conventions] has up, unit and hand, which are texts.")
    try:
        return JointMap(joints, Conventions.from_texts(**said))
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{path}: {error.message}") from error


def write_guess(names: Sequence[str], guessed: Mapping[str, str]) -> str:
    """A joint map to start from: the joints that were recognised, and the others as comments."""
    lines = ["# Our names: " + " ".join(NTU25.joint_names)]
    if len(set(guessed.values())) < len(guessed):
        lines.append("# Markers that are called by one joint stand around it: the joint is in their middle.")
    lines.append("[joints]")
    lines += [f"{_quoted(name)} = {_quoted(guessed[name])}" for name in names if name in guessed]
    lines += [f'# {_quoted(name)} = ""' for name in names if name not in guessed]
    lines += ["", "[conventions]", '# up = "y"', '# unit = "cm"', '# hand = "right"']
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # else TOML writes texts as JSON does
