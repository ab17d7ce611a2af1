from gfp_serve.v1 import embedding_pb2 as _embedding_pb2
from gfp_serve.v1 import gallery_pb2 as _gallery_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EmbedStreamRequest(_message.Message):
    __slots__ = ("config", "frames")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    config: StreamConfig
    frames: Frames
    def __init__(self, config: _Optional[_Union[StreamConfig, _Mapping]] = ..., frames: _Optional[_Union[Frames, _Mapping]] = ...) -> None: ...

class StreamConfig(_message.Message):
    __slots__ = ("layout", "num_bodies", "fps", "window_frames", "stride_frames", "search", "classify", "lossless", "expected_encoder_digest", "joint_names", "conventions", "dimensions", "image_width", "image_height", "count")
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    NUM_BODIES_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FRAMES_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FRAMES_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    CLASSIFY_FIELD_NUMBER: _ClassVar[int]
    LOSSLESS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    JOINT_NAMES_FIELD_NUMBER: _ClassVar[int]
    CONVENTIONS_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    IMAGE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    layout: str
    num_bodies: int
    fps: float
    window_frames: int
    stride_frames: int
    search: _gallery_pb2.SearchRequest
    classify: _gallery_pb2.ClassifyRequest
    lossless: bool
    expected_encoder_digest: str
    joint_names: _containers.RepeatedScalarFieldContainer[str]
    conventions: _embedding_pb2.Conventions
    dimensions: int
    image_width: float
    image_height: float
    count: str
    def __init__(self, layout: _Optional[str] = ..., num_bodies: _Optional[int] = ..., fps: _Optional[float] = ..., window_frames: _Optional[int] = ..., stride_frames: _Optional[int] = ..., search: _Optional[_Union[_gallery_pb2.SearchRequest, _Mapping]] = ..., classify: _Optional[_Union[_gallery_pb2.ClassifyRequest, _Mapping]] = ..., lossless: bool = ..., expected_encoder_digest: _Optional[str] = ..., joint_names: _Optional[_Iterable[str]] = ..., conventions: _Optional[_Union[_embedding_pb2.Conventions, _Mapping]] = ..., dimensions: _Optional[int] = ..., image_width: _Optional[float] = ..., image_height: _Optional[float] = ..., count: _Optional[str] = ...) -> None: ...

class Frames(_message.Message):
    __slots__ = ("positions", "num_frames")
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    NUM_FRAMES_FIELD_NUMBER: _ClassVar[int]
    positions: bytes
    num_frames: int
    def __init__(self, positions: _Optional[bytes] = ..., num_frames: _Optional[int] = ...) -> None: ...

class EmbedStreamResponse(_message.Message):
    __slots__ = ("first_frame", "start_s", "end_s", "embedding", "problem", "neighbours", "classification", "num_dropped", "encoder_digest", "timing", "warnings", "num_repetitions")
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    END_S_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    CLASSIFICATION_FIELD_NUMBER: _ClassVar[int]
    NUM_DROPPED_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    NUM_REPETITIONS_FIELD_NUMBER: _ClassVar[int]
    first_frame: int
    start_s: float
    end_s: float
    embedding: _embedding_pb2.Embedding
    problem: str
    neighbours: _containers.RepeatedCompositeFieldContainer[_gallery_pb2.Neighbour]
    classification: _gallery_pb2.Classification
    num_dropped: int
    encoder_digest: str
    timing: _embedding_pb2.Timing
    warnings: _containers.RepeatedCompositeFieldContainer[_embedding_pb2.Warning]
    num_repetitions: int
    def __init__(self, first_frame: _Optional[int] = ..., start_s: _Optional[float] = ..., end_s: _Optional[float] = ..., embedding: _Optional[_Union[_embedding_pb2.Embedding, _Mapping]] = ..., problem: _Optional[str] = ..., neighbours: _Optional[_Iterable[_Union[_gallery_pb2.Neighbour, _Mapping]]] = ..., classification: _Optional[_Union[_gallery_pb2.Classification, _Mapping]] = ..., num_dropped: _Optional[int] = ..., encoder_digest: _Optional[str] = ..., timing: _Optional[_Union[_embedding_pb2.Timing, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[_embedding_pb2.Warning, _Mapping]]] = ..., num_repetitions: _Optional[int] = ...) -> None: ...
