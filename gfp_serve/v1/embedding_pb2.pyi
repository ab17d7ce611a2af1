from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Sequence(_message.Message):
    __slots__ = ("positions", "num_frames", "num_bodies", "num_joints", "layout", "joint_names", "conventions", "dimensions", "image_width", "image_height", "fps")
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    NUM_FRAMES_FIELD_NUMBER: _ClassVar[int]
    NUM_BODIES_FIELD_NUMBER: _ClassVar[int]
    NUM_JOINTS_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    JOINT_NAMES_FIELD_NUMBER: _ClassVar[int]
    CONVENTIONS_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    IMAGE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    positions: bytes
    num_frames: int
    num_bodies: int
    num_joints: int
    layout: str
    joint_names: _containers.RepeatedScalarFieldContainer[str]
    conventions: Conventions
    dimensions: int
    image_width: float
    image_height: float
    fps: float
    def __init__(self, positions: _Optional[bytes] = ..., num_frames: _Optional[int] = ..., num_bodies: _Optional[int] = ..., num_joints: _Optional[int] = ..., layout: _Optional[str] = ..., joint_names: _Optional[_Iterable[str]] = ..., conventions: _Optional[_Union[Conventions, _Mapping]] = ..., dimensions: _Optional[int] = ..., image_width: _Optional[float] = ..., image_height: _Optional[float] = ..., fps: _Optional[float] = ...) -> None: ...

class Conventions(_message.Message):
    __slots__ = ("up", "unit", "hand", "min_confidence")
    UP_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    HAND_FIELD_NUMBER: _ClassVar[int]
    MIN_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    up: str
    unit: str
    hand: str
    min_confidence: float
    def __init__(self, up: _Optional[str] = ..., unit: _Optional[str] = ..., hand: _Optional[str] = ..., min_confidence: _Optional[float] = ...) -> None: ...

class Embedding(_message.Message):
    __slots__ = ("values", "size")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    values: bytes
    size: int
    def __init__(self, values: _Optional[bytes] = ..., size: _Optional[int] = ...) -> None: ...

class Timing(_message.Message):
    __slots__ = ("queue_ns", "preprocess_ns", "inference_ns", "search_ns", "total_ns")
    QUEUE_NS_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_NS_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_NS_FIELD_NUMBER: _ClassVar[int]
    SEARCH_NS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NS_FIELD_NUMBER: _ClassVar[int]
    queue_ns: int
    preprocess_ns: int
    inference_ns: int
    search_ns: int
    total_ns: int
    def __init__(self, queue_ns: _Optional[int] = ..., preprocess_ns: _Optional[int] = ..., inference_ns: _Optional[int] = ..., search_ns: _Optional[int] = ..., total_ns: _Optional[int] = ...) -> None: ...

class EmbedRequest(_message.Message):
    __slots__ = ("sequences", "expected_encoder_digest")
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    sequences: _containers.RepeatedCompositeFieldContainer[Sequence]
    expected_encoder_digest: str
    def __init__(self, sequences: _Optional[_Iterable[_Union[Sequence, _Mapping]]] = ..., expected_encoder_digest: _Optional[str] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("embeddings", "encoder_digest", "timing", "warnings")
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    embeddings: _containers.RepeatedCompositeFieldContainer[Embedding]
    encoder_digest: str
    timing: Timing
    warnings: _containers.RepeatedCompositeFieldContainer[Warning]
    def __init__(self, embeddings: _Optional[_Iterable[_Union[Embedding, _Mapping]]] = ..., encoder_digest: _Optional[str] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[Warning, _Mapping]]] = ...) -> None: ...

class Warning(_message.Message):
    __slots__ = ("field", "kind", "text", "num_others")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUM_OTHERS_FIELD_NUMBER: _ClassVar[int]
    field: str
    kind: str
    text: str
    num_others: int
    def __init__(self, field: _Optional[str] = ..., kind: _Optional[str] = ..., text: _Optional[str] = ..., num_others: _Optional[int] = ...) -> None: ...

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("server_version", "encoder_digest", "encoder", "gallery", "limits", "role", "reads_videos")
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    READS_VIDEOS_FIELD_NUMBER: _ClassVar[int]
    server_version: str
    encoder_digest: str
    encoder: EncoderInfo
    gallery: GalleryInfo
    limits: Limits
    role: str
    reads_videos: bool
    def __init__(self, server_version: _Optional[str] = ..., encoder_digest: _Optional[str] = ..., encoder: _Optional[_Union[EncoderInfo, _Mapping]] = ..., gallery: _Optional[_Union[GalleryInfo, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., role: _Optional[str] = ..., reads_videos: bool = ...) -> None: ...

class EncoderInfo(_message.Message):
    __slots__ = ("name", "embedding_size", "preprocessing_digest", "preprocessing", "layouts", "provider", "device", "dimensions", "compares_dimensions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SIZE_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_FIELD_NUMBER: _ClassVar[int]
    LAYOUTS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    COMPARES_DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    embedding_size: int
    preprocessing_digest: str
    preprocessing: _struct_pb2.Struct
    layouts: _containers.RepeatedScalarFieldContainer[str]
    provider: str
    device: str
    dimensions: _containers.RepeatedScalarFieldContainer[int]
    compares_dimensions: bool
    def __init__(self, name: _Optional[str] = ..., embedding_size: _Optional[int] = ..., preprocessing_digest: _Optional[str] = ..., preprocessing: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., layouts: _Optional[_Iterable[str]] = ..., provider: _Optional[str] = ..., device: _Optional[str] = ..., dimensions: _Optional[_Iterable[int]] = ..., compares_dimensions: bool = ...) -> None: ...

class GalleryInfo(_message.Message):
    __slots__ = ("num_items", "generation", "durable")
    NUM_ITEMS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    num_items: int
    generation: int
    durable: bool
    def __init__(self, num_items: _Optional[int] = ..., generation: _Optional[int] = ..., durable: bool = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_message_bytes", "max_sequences", "max_frames", "max_bodies", "max_top_k", "max_item_bytes")
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_BODIES_FIELD_NUMBER: _ClassVar[int]
    MAX_TOP_K_FIELD_NUMBER: _ClassVar[int]
    MAX_ITEM_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_message_bytes: int
    max_sequences: int
    max_frames: int
    max_bodies: int
    max_top_k: int
    max_item_bytes: int
    def __init__(self, max_message_bytes: _Optional[int] = ..., max_sequences: _Optional[int] = ..., max_frames: _Optional[int] = ..., max_bodies: _Optional[int] = ..., max_top_k: _Optional[int] = ..., max_item_bytes: _Optional[int] = ...) -> None: ...
