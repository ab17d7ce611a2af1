"""What a connection may cost the server before any call is looked at: gRPC's settings, each with its reason."""

import logging

from gfp_serve import open_files
from gfp_serve.config import ServeConfig

_log = logging.getLogger(__name__)

# A connection that has not shown within this time that it speaks HTTP/2 (and TLS, if that is on) is closed.
HANDSHAKE_S = 10
# A connection without a call is closed after this time; clients connect again by themselves.
IDLE_CONNECTION_S = 120
# A client that is silent is asked for a sign of life after the first time, and given up after the second. Frozen
# clients, and those whose network is gone, then leave their places.
SILENCE_S, ANSWER_S = 60, 20
# Clients may ask for a sign of life this often; ours do so every 30 s while calls wait. gRPC ends the connections of
# those who ask more often.
CLIENT_SILENCE_S = 10
# A call that the event loop has not taken from gRPC within this time ends as CANCELLED. Calls come faster than Python
# can take them when someone opens streams and resets them at once; this bounds how many wait, and for how long others
# wait behind them.
UNTAKEN_CALL_S = 10
# Of all headers of a call together; ours need less than one KiB.
_HEADER_BYTES = 16 * 2**10


def server_options(config: ServeConfig, max_answered_calls: int) -> list[tuple[str, int]]:
    """The options of a gRPC server that answers this many calls at a time, refusals included."""
    limits = config.limits
    return [
        ("grpc.max_receive_message_length", limits.max_message_bytes),
        ("grpc.max_send_message_length", limits.max_message_bytes),
        # Otherwise a second server on the same port starts silently and takes half of the calls.
        ("grpc.so_reuseport", 0),
        # Only messages that are not compressed, bit 0: gRPC inflates a message whole before it looks at its length,
        # so a megabyte of gzip would take a gigabyte of memory, without a token.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.max_allowed_incoming_connections", most_connections(config.max_connections)),
        ("grpc.server_handshake_timeout_ms", 1000 * HANDSHAKE_S),
        ("grpc.max_connection_idle_ms", 1000 * IDLE_CONNECTION_S),
        ("grpc.keepalive_time_ms", 1000 * SILENCE_S),
        ("grpc.keepalive_timeout_ms", 1000 * ANSWER_S),
        ("grpc.http2.min_ping_interval_without_data_ms", 1000 * CLIENT_SILENCE_S),
        ("grpc.server_max_unrequested_time_in_server", UNTAKEN_CALL_S),
        # Streams of one connection. gRPC counts a stream until its memory is free, so one that was reset counts too,
        # and one that has just ended. It refuses more with REFUSED_STREAM and no reason. So this lies far above the
        # calls that get an answer: callers who send too many are told so by the guard.
        ("grpc.max_concurrent_streams", 2 * max_answered_calls),
        ("grpc.max_metadata_size", _HEADER_BYTES),
    ]


def most_connections(wanted: int) -> int:
    """As many as wanted, but at most half of the files that the process may open, and what open galleries leave."""
    files, num_open = open_files.limit(), open_files.num_open()
    possible = max(1, min(files // 2, files - num_open - open_files.OWN))
    if wanted <= possible:
        return wanted
    _log.warning(
        "the system lets this process open %d files, of which %d are open, so it takes %d connections and not %d; "
        "raise the limit (ulimit -n, LimitNOFILE=), or lower --max-connections",
        *(files, num_open, possible, wanted),
    )
    return possible
