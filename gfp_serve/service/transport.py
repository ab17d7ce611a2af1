"""What a connection may cost the server before any call is looked at: gRPC's settings, each with its reason."""

from gfp_serve.config import Limits

# A connection that has not shown within this time that it speaks HTTP/2 (and TLS, if that is on) is closed.
HANDSHAKE_S = 10
# A connection without a call is closed after this time; clients connect again by themselves.
IDLE_CONNECTION_S = 600
# A client that is silent is asked for a sign of life after the first time, and given up after the second. Frozen
# clients, and those whose network is gone, then leave their places.
SILENCE_S, ANSWER_S = 60, 20
# Calls that one connection may have open. More wait at the client.
CALLS_PER_CONNECTION = 128
# Of all headers of a call together; ours need less than one KiB.
_HEADER_BYTES = 16 * 2**10


def server_options(limits: Limits) -> list[tuple[str, int]]:
    """The options of the gRPC server."""
    return [
        ("grpc.max_receive_message_length", limits.max_message_bytes),
        ("grpc.max_send_message_length", limits.max_message_bytes),
        # Otherwise a second server on the same port starts silently and takes half of the calls.
        ("grpc.so_reuseport", 0),
        # Only messages that are not compressed, bit 0: gRPC inflates a message whole before it looks at its length,
        # so a megabyte of gzip would take a gigabyte of memory, without a token.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.server_handshake_timeout_ms", 1000 * HANDSHAKE_S),
        ("grpc.max_connection_idle_ms", 1000 * IDLE_CONNECTION_S),
        ("grpc.keepalive_time_ms", 1000 * SILENCE_S),
        ("grpc.keepalive_timeout_ms", 1000 * ANSWER_S),
        ("grpc.max_concurrent_streams", CALLS_PER_CONNECTION),
        ("grpc.max_metadata_size", _HEADER_BYTES),
    ]
