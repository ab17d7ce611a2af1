"""The server that the fuzzer calls in its own process answers as a real one does. This needs no fuzzer."""

from contextlib import closing
from pathlib import Path

import grpc

from gfp_serve.v1 import gallery_pb2, open_inference_pb2
from tests.fuzz.in_process import Methods


def test_calls_and_streams_are_answered_and_refused(tmp_path: Path) -> None:
    with closing(Methods(tmp_path)) as methods:
        code, (listed,) = methods.call("/gfp_serve.v1.GalleryService/ListGalleries", [b""])
        assert code is grpc.StatusCode.OK
        assert [each.name for each in gallery_pb2.ListGalleriesResponse.FromString(listed).galleries] == ["default"]
        assert methods.call("/gfp_serve.v1.GalleryService/Get", [b""]) == (grpc.StatusCode.INVALID_ARGUMENT, [])
        unknown = open_inference_pb2.ModelInferRequest(model_name="none", id="mine").SerializeToString()
        code, replies = methods.call("/inference.GRPCInferenceService/ModelStreamInfer", [unknown] * 2)
        assert code is grpc.StatusCode.OK
        assert len(replies) == 2
