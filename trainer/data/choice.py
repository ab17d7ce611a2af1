"""Which clips are shown, of all that there are: those with the given names, or an example of each class."""

import difflib
from collections.abc import Sequence

from gfp_serve.errors import InvalidRequestError


def choose_clips(names: Sequence[str], labels: Sequence[str | None], wanted: Sequence[str], *, most: int) -> list[int]:
    """Places of the `wanted` names in `names`; without any, of the first clip of each of the first `most` classes.

    A clip without a label is shown as if it were of a class of its own.

    Raises `InvalidRequestError`, with similar names, for a name that no clip has.
    """
    if not wanted:
        kinds = [place if label is None else label for place, label in enumerate(labels)]
        first_of_class = {kind: place for place, kind in reversed(list(enumerate(kinds)))}
        return sorted(first_of_class.values())[:most]
    for name in wanted:
        if name not in names:
            similar = difflib.get_close_matches(name, names, n=3, cutoff=0.0)
            raise InvalidRequestError(f"no clip is named {name!r}; similar names are {', '.join(similar)}.")
    return [names.index(name) for name in wanted]
