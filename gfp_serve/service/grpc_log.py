"""What gRPC's own logger may say. Some of its lines are about what strangers send, and have it in them."""

import logging
import time

_log = logging.getLogger(__name__)

# A caller who leaves while gRPC sends it a reply: gRPC logs that as an error, with a traceback.
_DEPARTURES = "ExecuteBatchError raised in core"
# Headers that are not UTF-8, and the calls that fail of them. gRPC logs each with its value, which may be a token, and
# a traceback, before any of our code sees the call: 20 kB for a byte that somebody sends.
_UNREADABLE = ("Invalid encoding on ", "Unexpected [UnicodeDecodeError]", "Failed sending error status")
SAID_EACH_S = 60.0


class GrpcLog(logging.Filter):
    """Drops lines that nobody needs; of headers that cannot be read, says now and then how many lines there were."""

    def __init__(self) -> None:
        super().__init__()
        self._num_unreadable = 0
        self._say_after = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged as it is."""
        text = record.getMessage()
        if not text.startswith(_UNREADABLE):
            return not text.startswith(_DEPARTURES)
        self._num_unreadable += 1
        if (now := time.monotonic()) >= self._say_after:
            self._say_after = now + SAID_EACH_S
            _log.warning("callers sent headers or paths that are not UTF-8, %d times so far", self._num_unreadable)
        return False


def quiet_grpc() -> None:
    """Filter gRPC's logger in this process, once."""
    logger = logging.getLogger("grpc._cython.cygrpc")
    if not any(isinstance(each, GrpcLog) for each in logger.filters):
        logger.addFilter(GrpcLog())
