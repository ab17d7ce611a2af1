"""ViewService of the wire: what a page asks for to show motion."""

from typing import NoReturn

from gfp_serve.errors import InvalidRequestError
from gfp_serve.v1 import view_pb2, view_pb2_grpc


class ViewServicer(view_pb2_grpc.ViewServiceServicer):
    """Its calls come one by one."""

    async def MapItems(self, _request: view_pb2.MapItemsRequest, _context: object) -> NoReturn:
        _not_yet()

    async def ReadFile(self, _request: view_pb2.ReadFileRequest, _context: object) -> NoReturn:
        _not_yet()

    async def Compare(self, _request: view_pb2.CompareRequest, _context: object) -> NoReturn:
        _not_yet()

    async def CountRepetitions(self, _request: view_pb2.CountRepetitionsRequest, _context: object) -> NoReturn:
        _not_yet()


def _not_yet() -> NoReturn:
    raise InvalidRequestError("this release does not answer this call; use a later one.")
