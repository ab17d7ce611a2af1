"""The process of `gfp-serve`: signals, files that it may open, and the bundle that it serves, which may be replaced."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gfp_serve import open_files
from gfp_serve.bundle import FP16_GRAPH, INT8_GRAPH, Bundle, Manifest
from gfp_serve.config import DEFAULT_BUNDLE, ENCODER, ServeConfig, bundle_at, shipped_bundles
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError, EncoderMismatchError, GfpError, StillClosingError
from gfp_serve.gallery.embedded.file_room import FILES_OF_A_GALLERY
from gfp_serve.gallery.embedded.galleries import MOST_GALLERIES, most_galleries
from gfp_serve.gallery.places import open_galleries
from gfp_serve.gallery.protocols import Galleries, sizes_of
from gfp_serve.items import DEFAULT_GALLERY
from gfp_serve.memory import keep_large_blocks_apart
from gfp_serve.own_process import GALLERY, folder_of_its_own, remove_abandoned_folders
from gfp_serve.server import Server

_log = logging.getLogger(__name__)

# When galleries were not free for a new bundle, it is tried again after this time.
_RELOAD_AGAIN_S = 10.0

# While searches keep their threads busy, the event loop waits for the interpreter's lock this long at a time. Python's
# own 5 ms made an echo between two threads, beside two busy ones, take five times as long as 1 ms does.
_SWITCH_S = 0.001


async def serve(config: ServeConfig, announce: Callable[[str], object]) -> None:
    """Serve until SIGTERM or SIGINT, then drain. At SIGHUP, read the bundle again and let it take over.

    `announce` is called with one line when calls can be made. Raises the errors of `Bundle.read`, `Bundle.check`,
    `Encoder`, `open_galleries`, `Server.start`.
    """
    signals = _Signals()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, signals.ask, number)
    sys.setswitchinterval(_SWITCH_S)
    keep_large_blocks_apart()
    _share_out_files(config)
    await asyncio.to_thread(remove_abandoned_folders)
    loaded = _load(config, _read_bundle(config))
    try:
        server = Server(config, loaded.manifest, loaded.encoder, loaded.galleries)
        try:
            await server.start()
            # What was loaded stays in use. Without this, every full garbage collection would look through all of it
            # while calls wait: 40 ms every other second, under overload.
            gc.collect()
            gc.freeze()
            also = f", {server.http_url}" if server.http_url else ""
            announce(f"serving {loaded.manifest.name} on {config.host}:{server.port} ({loaded.encoder.device}){also}")
            while await signals.next() == signal.SIGHUP:
                loaded = await _reload(config, server, loaded, signals)
            _log.info("shutting down: calls in progress have %g s to finish", config.drain_s)
        finally:
            await server.stop()
    finally:
        loaded.close()


class _Signals:
    """What was asked for by signals and not begun yet. An end overtakes changes of the bundle, and many are one."""

    def __init__(self) -> None:
        self._asked: set[int] = set()
        self._news = asyncio.Event()

    @property
    def is_asked(self) -> bool:
        return bool(self._asked)

    def ask(self, number: int) -> None:
        self._asked.add(number)
        self._news.set()

    async def next(self) -> int:
        """Wait for the next signal, and take it."""
        await self._news.wait()
        number = min(self._asked, key=lambda each: each == signal.SIGHUP)
        self._asked.discard(number)
        if not self._asked:
            self._news.clear()
        return number


def _share_out_files(config: ServeConfig) -> None:
    """Let the process open as many files as the system allows, and say if that is too few for what is promised."""
    limit = open_files.raise_limit()
    # Each port takes as many.
    max_connections = config.max_connections * (1 if config.http_port is None else 2)
    num_connections = min(max_connections, limit // 2)
    open_files.promise(num_connections)
    wanted = MOST_GALLERIES * FILES_OF_A_GALLERY + max_connections + open_files.OWN
    if limit < wanted:
        _log.warning(
            "this process may open %d files, which is enough for %d connections and %d galleries in a folder; %d files "
            "are enough for %d and %d. Raise the limit with ulimit -Hn, LimitNOFILE= of systemd, or --ulimit nofile= "
            "of docker, or lower --max-connections",
            *(limit, num_connections, most_galleries(), wanted, max_connections, MOST_GALLERIES),
        )


@dataclass(frozen=True, slots=True)
class _Loaded:
    """An encoder that was checked, its open galleries, and a function that closes them."""

    manifest: Manifest
    encoder: Encoder
    galleries: Galleries
    close: Callable[[], None]


def _read_bundle(config: ServeConfig) -> Bundle:
    path = bundle_at(config.bundle or DEFAULT_BUNDLE)
    if not path.exists():
        raise BundleError(
            f"{path} does not exist; name a bundle, which gfp-export makes, or a shipped one: "
            f"{', '.join(shipped_bundles())}."
        )
    return Bundle.read(path)


def _load(config: ServeConfig, bundle: Bundle) -> _Loaded:
    """Make the bundle ready to serve. It is not read again: what was checked is what is served."""
    encoder = Encoder(
        bundle,
        device=config.device,
        num_threads=config.num_threads,
        cuda_graphs=config.cuda_graphs,
        tensorrt_cache=config.tensorrt_cache,
    )
    difference = bundle.check(encoder.encode_first)
    _log.info(
        "encoder=%s digest=%s provider=%s canonical_difference=%.2g",
        bundle.manifest.name,
        bundle.manifest.encoder_digest[:12],
        encoder.provider,
        difference,
    )
    if bundle.manifest.graph == FP16_GRAPH and encoder.device == "cpu":
        _log.warning(
            "%s computes in 16 bits, which helps a GPU and slows down a CPU; for a CPU, export it without --fp16",
            bundle.manifest.name,
        )
    if bundle.manifest.graph == INT8_GRAPH and encoder.device != "cpu":
        _log.warning(
            "%s computes in 8 bits, which is made for a CPU; for a GPU, export it without --int8, or with --fp16",
            bundle.manifest.name,
        )
    with ExitStack() as opened:
        galleries = opened.enter_context(_open_galleries(config, bundle.manifest))
        return _Loaded(bundle.manifest, encoder, galleries, opened.pop_all().close)


async def _reload(config: ServeConfig, server: Server, loaded: _Loaded, signals: _Signals) -> _Loaded:
    """Read the bundle again and let it take over. If it cannot be served, nothing changes.

    If its galleries were closed a moment ago and are not free yet, this is asked for again by way of `signals`.
    """
    try:
        bundle = await asyncio.to_thread(_read_bundle, config)
        if bundle.manifest.encoder_digest == loaded.manifest.encoder_digest:
            _log.info("the bundle is the one that is served already; nothing was changed")
            server.metrics.reloaded("unchanged")
            return loaded
        _refuse_to_mix(config, bundle.manifest, loaded)
        fresh = await asyncio.to_thread(_load, config, bundle)
        try:
            await server.switch(fresh.manifest, fresh.encoder, fresh.galleries)
        except BaseException:
            fresh.close()
            raise
    except StillClosingError as error:
        _log.warning("%s is served until that can be: %s", loaded.manifest.name, error)
        asyncio.get_running_loop().call_later(_RELOAD_AGAIN_S, signals.ask, signal.SIGHUP)
        return loaded
    # All errors: whatever is wrong with the new bundle, calls go on as before.
    except Exception as error:
        unexpected = None if isinstance(error, GfpError) else error
        _log.error("%s is served as before: %s", loaded.manifest.name, error, exc_info=unexpected)
        server.metrics.reloaded("refused")
        return loaded
    _log.info("encoder=%s digest=%s took over", fresh.manifest.name, fresh.manifest.encoder_digest[:12])
    server.metrics.reloaded("switched")
    await asyncio.to_thread(loaded.close)
    return fresh


def _refuse_to_mix(config: ServeConfig, manifest: Manifest, loaded: _Loaded) -> None:
    """Raise `EncoderMismatchError` when the new encoder could not use the open galleries, or they would be lost."""
    digest = loaded.manifest.encoder_digest
    if config.gallery is None:
        kept = {name: num_items for name, num_items, _ in sizes_of(loaded.galleries, digest)}
        if kept != {DEFAULT_GALLERY: 0}:
            raise EncoderMismatchError(
                f"the {sum(kept.values())} items of the temporary galleries ({', '.join(kept)}) would be lost, "
                f"because they belong to encoder {digest[:12]}; start with --gallery FOLDER/{ENCODER}, or start again."
            )
    elif ENCODER not in config.gallery:
        raise EncoderMismatchError(
            f"the galleries in {config.gallery} belong to encoder {digest[:12]}, the bundle is now "
            f"{manifest.encoder_digest[:12]}; their vectors cannot be compared. Start with --gallery FOLDER/{ENCODER}: "
            f"then each encoder has its own galleries, which can be filled before the bundle is replaced."
        )


@contextmanager
def _open_galleries(config: ServeConfig, manifest: Manifest) -> Iterator[Galleries]:
    with ExitStack() as opened:
        digest, size = manifest.encoder_digest, manifest.embedding_size
        if config.gallery is None:
            folder = opened.enter_context(folder_of_its_own(GALLERY))
            _log.warning("no --gallery was given: items are kept in a temporary folder and lost when the server exits")
            place = str(Path(folder) / "galleries")
        else:
            place = config.gallery.replace(ENCODER, manifest.encoder_digest[:12])
        made = open_galleries(
            place,
            encoder_digest=digest,
            embedding_size=size,
            durable=config.gallery is not None,
            device=config.gallery_device,
        )
        galleries = opened.enter_context(closing(made))
        for name, num_items, generation in sizes_of(galleries, manifest.encoder_digest):
            _log.info("gallery=%s items=%d generation=%d", name, num_items, generation)
        for name, theirs in galleries.encoder_digests().items():
            if theirs != digest:
                _log.warning("gallery=%s was filled by encoder %s; this one cannot use it", name, theirs[:12])
        yield galleries
