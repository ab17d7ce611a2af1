"""What users are told when an answer means less than they may think."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gfp_serve.cli.notes import muted
from gfp_serve.cli.progress import warn
from gfp_serve.client import Client, Moment
from gfp_serve.client.recordings import RecordedClip
from gfp_serve.errors import quoted
from gfp_serve.filters import LABEL, Filter
from gfp_serve.items import DEFAULT_TOP_K, Neighbour

NOTHING_FOUND = "(nothing found)"


@dataclass
class SearchHint:
    """Watches what is found: a condition on an attribute that no item has, and moments without times, are mistakes."""

    where: Filter | None
    gallery: str
    _names: set[str] = field(default_factory=set)  # of the attributes of neighbours
    _empty: RecordedClip | None = None  # a clip for which nothing was found
    _last: RecordedClip | None = None
    _has_moments: bool = False
    _has_times: bool = False

    def add(self, clip: RecordedClip, found: Sequence[Neighbour | Moment]) -> None:
        """Take a clip with its neighbours or moments."""
        self._last = clip
        if not found:
            self._empty = clip
        for each in found:
            if isinstance(each, Neighbour):
                self._names.update(each.attributes)
            else:
                self._has_moments = True
                self._has_times |= each.source is not None and each.source.end_s > 0

    def show(self, client: Client) -> None:
        """Warn of what looks like a mistake. May ask the server what attributes there are."""
        if self._has_moments and not self._has_times:
            warn("--moments: no times were found, because these items are whole clips; add windows by --windows.")
        if self.where is None or self._last is None:
            return
        conditions = (*self.where.must, *self.where.any_of, *self.where.must_not)
        unseen = {each.key for each in conditions if each.key != LABEL} - self._names
        if not unseen and self._empty is None:
            return
        clip = self._empty or self._last
        top_k = min(DEFAULT_TOP_K, client.info().limits.max_top_k)
        with muted():  # it is not the user's search
            nearest = client.search(clip.sequence, top_k, clip.layout, gallery=self.gallery)
        self._names.update(name for neighbour in nearest for name in neighbour.attributes)
        if unknown := unseen - self._names:
            named, there = (", ".join(map(quoted, sorted(names))) for names in (unknown, self._names))
            warn(f"--where: no neighbour has the attribute {named}; they have {there or 'none'}.")
        elif self._empty is not None:
            warn(f"--where: nothing was found for {self._empty.id!r}, because no item meets the conditions.")
