"""Deadlines of calls over HTTP, as their callers say them in a header."""

import re
from collections.abc import Mapping

from gfp_serve.errors import InvalidRequestError, quoted

# A deadline is more than 0, with at most ten digits by the Connect protocol, and eight by gRPC's.
_MILLISECONDS = re.compile(r"(?=.*[1-9])[0-9]{1,10}")
_GRPC_TIMEOUT = re.compile(r"(?=.*[1-9])([0-9]{1,8})([HMSmun])")
_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def deadline_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that the caller gives its call; None if it says none. Raises `InvalidRequestError`."""
    said = headers.get("connect-timeout-ms")
    if said is None:
        return None
    if _MILLISECONDS.fullmatch(said) is None:
        raise InvalidRequestError(
            f"the header connect-timeout-ms is {quoted(said)}; it must be a whole number of milliseconds from 1 to "
            f"9999999999."
        )
    return int(said) / 1000


def grpc_deadline_s(headers: Mapping[str, str]) -> float | None:
    """The same in gRPC's own form."""
    said = headers.get("grpc-timeout")
    if said is None:
        return None
    found = _GRPC_TIMEOUT.fullmatch(said)
    if found is None:
        raise InvalidRequestError(
            f"the header grpc-timeout is {quoted(said)}; it must be a number from 1 to 99999999 and a unit: H, M, S, m "
            f"(milliseconds), u or n."
        )
    return int(found[1]) * _SECONDS[found[2]]
