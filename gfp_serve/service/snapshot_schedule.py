"""Snapshots that the server makes by itself: one of each gallery every few hours, of which the newest are kept."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from gfp_serve.errors import ClosedError, GalleryNotFoundError, GfpError, SnapshotNotFoundError
from gfp_serve.service.metrics import Metrics
from gfp_serve.service.snapshots import SnapshotServicer

_log = logging.getLogger(__name__)

# Snapshots with such a name belong to the schedule; it removes no others. The time is in UTC.
_NAME = "auto-%Y%m%dT%H%M%SZ"

# New galleries are found after this time at the latest.
_LOOK_EVERY_S = 60.0
# What failed is tried again after this time, or after the time between snapshots if that is shorter.
_TRY_AGAIN_S = 600.0


class SnapshotSchedule:
    """Makes snapshots through the servicer that `servicer` gives, while `run` runs."""

    def __init__(
        self, servicer: Callable[[], SnapshotServicer], *, every_s: float, keep: int, metrics: Metrics
    ) -> None:
        self._servicer = servicer
        self._every_s = every_s
        self._keep = keep
        self._metrics = metrics
        self._try_again: dict[str, datetime] = {}

    async def run(self) -> None:
        """Make what is due, until cancelled."""
        while True:
            try:
                await self.make_due(datetime.now(UTC))
            # All errors: a fault in one look must not end the schedule in silence.
            except Exception as error:
                _log.error("snapshots: %s", error, exc_info=None if isinstance(error, GfpError) else error)
            await asyncio.sleep(min(_LOOK_EVERY_S, self._every_s))

    async def make_due(self, now: datetime) -> None:
        """Make a snapshot of each gallery whose newest one is old enough at this time; remove those that are too many.

        Snapshots that earlier processes made count too.
        """
        now, servicer = now.replace(microsecond=0), self._servicer()  # as names say it
        names = await asyncio.to_thread(servicer.gallery_names)
        made: dict[str, list[datetime]] = {gallery: [] for gallery in names}
        for each in await servicer.list_all():
            when = _time_of(each.name)
            if each.gallery in made and when is not None:
                made[each.gallery].append(when)
        self._metrics.newest_snapshots({gallery: _newest(times, now) for gallery, times in made.items()})
        for gallery, times in made.items():
            newest = _newest(times, now)
            is_due = newest is None or (now - newest).total_seconds() >= self._every_s
            if is_due and now >= self._try_again.get(gallery, now) and await self._make(servicer, gallery, now):
                times.append(now)
                self._metrics.newest_snapshots({gallery: _newest(times, now) for gallery, times in made.items()})
                # The clock was wrong when those of the future were made: they take no place from right ones.
                past = sorted(each for each in times if each <= now)
                if len(past) < len(times):
                    _log.warning(
                        "gallery=%s has %d snapshots of a time that has not come; they are left alone. Remove them, or "
                        "look at the clock",
                        *(gallery, len(times) - len(past)),
                    )
                for old in past[: -self._keep]:
                    with suppress(SnapshotNotFoundError):  # an operator removed it
                        await servicer.delete(gallery, old.strftime(_NAME))

    async def _make(self, servicer: SnapshotServicer, gallery: str, now: datetime) -> bool:
        name, started = now.strftime(_NAME), time.monotonic()
        try:
            made = await servicer.create(gallery, name)
        except (ClosedError, GalleryNotFoundError):  # another bundle takes over, or the gallery was dropped
            return False
        # All errors: the other galleries still need theirs.
        except Exception as error:
            wait_s = min(_TRY_AGAIN_S, self._every_s)
            self._try_again[gallery] = now + timedelta(seconds=wait_s)
            self._metrics.snapshot_failed()
            unexpected = None if isinstance(error, GfpError) else error
            _log.error(
                "snapshot=%s gallery=%s failed, and is tried again in %.0f s: %s",
                *(name, gallery, wait_s, error),
                exc_info=unexpected,
            )
            return False
        self._try_again.pop(gallery, None)
        self._metrics.snapshot_made()
        num_items = 0 if made.state is None else made.state.num_items
        seconds = time.monotonic() - started
        _log.info(
            "snapshot=%s gallery=%s items=%d bytes=%d seconds=%.1f", name, gallery, num_items, made.num_bytes, seconds
        )
        return True


def _newest(times: Iterable[datetime], now: datetime) -> datetime | None:
    # If the clock was wrong before, a time in the future must not put the next snapshot off.
    return max((each for each in times if each <= now), default=None)


def _time_of(name: str) -> datetime | None:
    """When the schedule made the snapshot of this name; None if it did not."""
    try:
        return datetime.strptime(name, _NAME).replace(tzinfo=UTC)
    except ValueError:
        return None
