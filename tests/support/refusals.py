"""Calls that must fail, and their errors."""

from collections.abc import Awaitable

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

CODE = grpc.StatusCode


async def refused(call: Awaitable[object], code: grpc.StatusCode, reason: str) -> tuple[str, str]:
    """Return the message and the field, if any, of a call that must fail with this status and reason."""
    with pytest.raises(grpc.RpcError) as caught:
        await call
    assert caught.value.code() is code, caught.value.details()
    status = rpc_status.from_call(caught.value)
    info, bad = ErrorInfo(), BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    assert (info.reason, info.domain) == (reason, "gfp_serve")
    field = bad.field_violations[0].field if bad.field_violations else ""
    return status.message, field
