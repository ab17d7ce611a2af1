"""NTU RGB+D `.skeleton` text: one clip a file, written by a Kinect v2, in which each body has an ID."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from gfp_serve.formats.clip import TEST_SPLIT, TRAIN_SPLIT, UNKNOWN_SUBJECT, Clip
from gfp_serve.formats.ntu.bodies import choose_actors, choose_actors_as_published
from gfp_serve.formats.ntu.text import parse
from gfp_serve.formats.ntu_actions import ACTIONS
from gfp_serve.layouts import NTU25

FPS = 30.0

# Performers of the training clips in the cross-subject protocol of NTU RGB+D 120 (Liu et al. 2019). NTU RGB+D 60 has
# the first 40 performers; of these they are the ones of its own protocol (Shahroudy et al. 2016).
_CROSS_SUBJECT_TRAIN = frozenset(
    (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
    + (45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94)
    + (95, 97, 98, 100, 103)
)
_CROSS_VIEW_TRAIN = frozenset((2, 3))  # cameras (Shahroudy et al. 2016)

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")


def read(path: Path) -> Iterator[Clip]:
    """Yield the clip of the file: the one or two actors of `bodies.choose_actors`, in true time; NaN = not seen.

    Action, subject and camera come from a name like S001C002P003R002A013. So do the sides of the published splits:
    x-sub (performers), x-view (cameras 2 and 3 train) and x-set (even setups train).
    Raises `DamagedFileError`, which names the line, for a file that is cut off, malformed, or without any body.
    """
    yield Clip(name=path.stem, sequence=choose_actors(parse(path)), layout=NTU25, fps=FPS, **fields_of_name(path.stem))


def read_as_published(path: Path) -> Iterator[Clip]:
    """Like `read`, with what published pipelines do to time (`bodies.choose_actors_as_published`).

    Two differences from their files remain, because one `preprocess.clean` serves all formats. Where an actor is not
    seen, their files have zeros; here the pose is interpolated, and held at both ends. And the first of two actors is
    the one that moves more after that. Motion is summed in float64, which can decide a tie differently.
    """
    actors = choose_actors_as_published(parse(path))
    yield Clip(name=path.stem, sequence=actors, layout=NTU25, fps=FPS, **fields_of_name(path.stem))


def fields_of_name(name: str) -> dict[str, Any]:
    """The fields of `Clip` that a name like S001C002P003R002A013 gives; empty for another name."""
    named = _NAME.match(name)
    if named is None:
        return {}
    setup, camera, subject, replication, action = map(int, named.groups())
    splits = {
        "x-sub": TRAIN_SPLIT if subject in _CROSS_SUBJECT_TRAIN else TEST_SPLIT,
        "x-view": TRAIN_SPLIT if camera in _CROSS_VIEW_TRAIN else TEST_SPLIT,
        "x-set": TRAIN_SPLIT if setup % 2 == 0 else TEST_SPLIT,
    }
    return {
        "label": ACTIONS[action - 1] if 1 <= action <= len(ACTIONS) else f"A{action:03}",
        "subject": str(subject) if subject else UNKNOWN_SUBJECT,
        "camera": camera,
        "split": splits["x-sub"],
        "splits": splits,
        "description": f"setup {setup}, replication {replication}",
    }


@cache
def incomplete_recordings() -> frozenset[str]:
    """The names of the 535 recordings of NTU RGB+D 120 that its authors advise to leave out; NTU RGB+D 60 has 302.

    Their skeletons are missing or incomplete (github.com/shahroudy/NTURGB-D, counted there).
    """
    return frozenset(Path(__file__).with_name("incomplete_recordings.txt").read_text(encoding="ascii").split())
