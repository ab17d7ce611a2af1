"""ViewService of the wire: what a page asks for to show motion."""

from gfp_serve.v1 import view_pb2_grpc


class ViewServicer(view_pb2_grpc.ViewServiceServicer):
    """Its calls come one by one."""
