"""Prometheus metrics of calls, of the queue, of batches and of galleries.

Queue and inference are measured apart, because they have different remedies: more replicas for a long queue, a faster
device or a smaller encoder for slow inference.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

# Seconds. A small encoder answers in 2 ms, a full queue in seconds.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BODIES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Reload = Literal["switched", "unchanged", "refused"]


class Metrics:
    """The metrics of one server, in a registry of their own. It is also the batcher's watcher."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter("gfp_requests", "Calls answered.", ["rpc", "code"], registry=registry)
        self._seconds = Histogram(
            "gfp_request_duration_seconds",
            "Time of a call in the server.",
            ["rpc"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._queue = Histogram(
            "gfp_queue_duration_seconds",
            "Time that a clip waited for the encoder.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._inference = Histogram(
            "gfp_inference_duration_seconds", "Time of a batch in the encoder.", buckets=_SECONDS, registry=registry
        )
        self._batch = Histogram("gfp_batch_size", "Bodies of a batch.", buckets=_BODIES, registry=registry)
        self._rejected = Counter("gfp_rejected", "Calls refused before any work.", ["reason"], registry=registry)
        self._dropped = Counter(
            "gfp_dropped", "Clips whose callers left before the encoder saw them.", registry=registry
        )
        self._reloads = Counter("gfp_reloads", "Times that the bundle was read again.", ["result"], registry=registry)
        for result in get_args(
            Reload
        ):  # from the start, because Prometheus sees a rise only from one value to the next
            self._reloads.labels(result)
        self._depth = Gauge("gfp_queue_depth", "Bodies admitted and not yet answered.", registry=registry)
        self._calls = Gauge("gfp_calls_in_progress", "Calls in progress.", registry=registry)
        self._snapshots = Counter("gfp_snapshots", "Snapshots of the schedule.", ["result"], registry=registry)
        for made_or_failed in ("made", "failed"):
            self._snapshots.labels(made_or_failed)
        self._snapshot_times = Gauge(
            "gfp_snapshot_timestamp_seconds",
            "When the schedule's newest snapshot of the gallery was made, in seconds since 1970; 0 if there is none.",
            ["gallery"],
            registry=registry,
        )
        self._with_snapshots: set[str] = set()
        self._galleries = _GalleryMetrics()
        registry.register(self._galleries)
        self._model = Gauge(
            "gfp_model_info", "The encoder; always 1.", ["name", "digest", "provider", "version"], registry=registry
        )

    def describe(self, *, name: str, digest: str, provider: str, version: str) -> None:
        """Say which encoder is served, and by which release."""
        self._model.clear()
        self._model.labels(name, digest, provider, version).set(1)

    def follow(
        self,
        *,
        queue_depth: Callable[[], float],
        calls: Callable[[], float],
        galleries: Callable[[], Iterable[tuple[str, int, int]]],
    ) -> None:
        """Set the functions that are called at each scrape, in the scrape's thread.

        `galleries` gives the name, the number of items and the generation of each.
        """
        self._depth.set_function(queue_depth)
        self._calls.set_function(calls)
        self._galleries.ask = galleries

    def answered(self, rpc: str, code: str, seconds: float) -> None:
        """Count an answered call; `code` is gRPC's name of its status."""
        self._requests.labels(rpc, code).inc()
        self._seconds.labels(rpc).observe(seconds)

    def rejected(self, reason: str) -> None:
        """Count a call that was refused before any work."""
        self._rejected.labels(reason).inc()

    def reloaded(self, result: Reload) -> None:
        """Count that the bundle was read again."""
        self._reloads.labels(result).inc()

    def snapshot_made(self) -> None:
        """Count a snapshot of the schedule."""
        self._snapshots.labels("made").inc()

    def snapshot_failed(self) -> None:
        """Count a snapshot of the schedule that could not be made."""
        self._snapshots.labels("failed").inc()

    def newest_snapshots(self, times: Mapping[str, datetime | None]) -> None:
        """Say when the newest snapshot of each gallery was made; None if there is none."""
        for gallery in self._with_snapshots - times.keys():  # it was dropped
            self._snapshot_times.remove(gallery)
        for gallery, when in times.items():
            self._snapshot_times.labels(gallery).set(0 if when is None else when.timestamp())
        self._with_snapshots = set(times)

    def computed(self, num_bodies: int, queue_s: Sequence[float], inference_s: float) -> None:
        """See `batcher.Watcher`."""
        self._batch.observe(num_bodies)
        self._inference.observe(inference_s)
        for waited in queue_s:
            self._queue.observe(waited)

    def dropped(self, num_clips: int) -> None:
        """See `batcher.Watcher`."""
        self._dropped.inc(num_clips)


class _GalleryMetrics(Collector):
    """Gauges of the galleries that exist at the time of a scrape."""

    def __init__(self) -> None:
        self.ask: Callable[[], Iterable[tuple[str, int, int]]] = tuple

    def collect(self) -> Iterator[GaugeMetricFamily]:
        items = GaugeMetricFamily("gfp_gallery_items", "Items of the gallery.", labels=["gallery"])
        generations = GaugeMetricFamily("gfp_gallery_generation", "Changes of the gallery so far.", labels=["gallery"])
        for name, num_items, generation in self.ask():
            items.add_metric([name], num_items)
            generations.add_metric([name], generation)
        yield from (items, generations)
