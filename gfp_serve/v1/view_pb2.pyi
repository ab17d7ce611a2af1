from gfp_serve.v1 import embedding_pb2 as _embedding_pb2
from gfp_serve.v1 import gallery_pb2 as _gallery_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MapItemsRequest(_message.Message):
    __slots__ = ("gallery", "filter")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    filter: _gallery_pb2.Filter
    def __init__(self, gallery: _Optional[str] = ..., filter: _Optional[_Union[_gallery_pb2.Filter, _Mapping]] = ...) -> None: ...

class MapItemsResponse(_message.Message):
    __slots__ = ("items", "projection", "is_improving", "generation", "num_items", "num_mapped", "attributes", "attributes_left_out")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    PROJECTION_FIELD_NUMBER: _ClassVar[int]
    IS_IMPROVING_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    NUM_ITEMS_FIELD_NUMBER: _ClassVar[int]
    NUM_MAPPED_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[MapItem]
    projection: str
    is_improving: bool
    generation: int
    num_items: int
    num_mapped: int
    attributes: _containers.RepeatedScalarFieldContainer[str]
    attributes_left_out: bool
    def __init__(self, items: _Optional[_Iterable[_Union[MapItem, _Mapping]]] = ..., projection: _Optional[str] = ..., is_improving: bool = ..., generation: _Optional[int] = ..., num_items: _Optional[int] = ..., num_mapped: _Optional[int] = ..., attributes: _Optional[_Iterable[str]] = ..., attributes_left_out: bool = ...) -> None: ...

class MapItem(_message.Message):
    __slots__ = ("id", "label", "x", "y", "attributes")
    ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    label: str
    x: float
    y: float
    attributes: _struct_pb2.Struct
    def __init__(self, id: _Optional[str] = ..., label: _Optional[str] = ..., x: _Optional[float] = ..., y: _Optional[float] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ReadFileRequest(_message.Message):
    __slots__ = ("content", "name", "conventions", "start_s", "end_s")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONVENTIONS_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    END_S_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    name: str
    conventions: _embedding_pb2.Conventions
    start_s: float
    end_s: float
    def __init__(self, content: _Optional[bytes] = ..., name: _Optional[str] = ..., conventions: _Optional[_Union[_embedding_pb2.Conventions, _Mapping]] = ..., start_s: _Optional[float] = ..., end_s: _Optional[float] = ...) -> None: ...

class ReadFileResponse(_message.Message):
    __slots__ = ("recordings", "num_left_out", "remarks")
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    NUM_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    REMARKS_FIELD_NUMBER: _ClassVar[int]
    recordings: _containers.RepeatedCompositeFieldContainer[Recording]
    num_left_out: int
    remarks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, recordings: _Optional[_Iterable[_Union[Recording, _Mapping]]] = ..., num_left_out: _Optional[int] = ..., remarks: _Optional[_Iterable[str]] = ...) -> None: ...

class Recording(_message.Message):
    __slots__ = ("name", "label", "sequence", "bones", "attributes", "dimensions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    BONES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    label: str
    sequence: _embedding_pb2.Sequence
    bones: _containers.RepeatedScalarFieldContainer[int]
    attributes: _struct_pb2.Struct
    dimensions: int
    def __init__(self, name: _Optional[str] = ..., label: _Optional[str] = ..., sequence: _Optional[_Union[_embedding_pb2.Sequence, _Mapping]] = ..., bones: _Optional[_Iterable[int]] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., dimensions: _Optional[int] = ...) -> None: ...

class Shown(_message.Message):
    __slots__ = ("sequence", "id")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    sequence: _embedding_pb2.Sequence
    id: str
    def __init__(self, sequence: _Optional[_Union[_embedding_pb2.Sequence, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class CompareRequest(_message.Message):
    __slots__ = ("motion", "wanted", "gallery")
    MOTION_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    motion: Shown
    wanted: Shown
    gallery: str
    def __init__(self, motion: _Optional[_Union[Shown, _Mapping]] = ..., wanted: _Optional[_Union[Shown, _Mapping]] = ..., gallery: _Optional[str] = ...) -> None: ...

class CompareResponse(_message.Message):
    __slots__ = ("motion", "wanted", "motion_frames", "wanted_frames", "joints", "worst_moments", "mean_cm", "tempo")
    MOTION_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    MOTION_FRAMES_FIELD_NUMBER: _ClassVar[int]
    WANTED_FRAMES_FIELD_NUMBER: _ClassVar[int]
    JOINTS_FIELD_NUMBER: _ClassVar[int]
    WORST_MOMENTS_FIELD_NUMBER: _ClassVar[int]
    MEAN_CM_FIELD_NUMBER: _ClassVar[int]
    TEMPO_FIELD_NUMBER: _ClassVar[int]
    motion: _gallery_pb2.Motion
    wanted: _gallery_pb2.Motion
    motion_frames: _containers.RepeatedScalarFieldContainer[int]
    wanted_frames: _containers.RepeatedScalarFieldContainer[int]
    joints: _containers.RepeatedCompositeFieldContainer[JointDifference]
    worst_moments: _containers.RepeatedCompositeFieldContainer[WorstMoment]
    mean_cm: float
    tempo: float
    def __init__(self, motion: _Optional[_Union[_gallery_pb2.Motion, _Mapping]] = ..., wanted: _Optional[_Union[_gallery_pb2.Motion, _Mapping]] = ..., motion_frames: _Optional[_Iterable[int]] = ..., wanted_frames: _Optional[_Iterable[int]] = ..., joints: _Optional[_Iterable[_Union[JointDifference, _Mapping]]] = ..., worst_moments: _Optional[_Iterable[_Union[WorstMoment, _Mapping]]] = ..., mean_cm: _Optional[float] = ..., tempo: _Optional[float] = ...) -> None: ...

class JointDifference(_message.Message):
    __slots__ = ("name", "joint", "mean_cm", "most_cm", "cm", "mean_degrees", "most_degrees", "degrees")
    NAME_FIELD_NUMBER: _ClassVar[int]
    JOINT_FIELD_NUMBER: _ClassVar[int]
    MEAN_CM_FIELD_NUMBER: _ClassVar[int]
    MOST_CM_FIELD_NUMBER: _ClassVar[int]
    CM_FIELD_NUMBER: _ClassVar[int]
    MEAN_DEGREES_FIELD_NUMBER: _ClassVar[int]
    MOST_DEGREES_FIELD_NUMBER: _ClassVar[int]
    DEGREES_FIELD_NUMBER: _ClassVar[int]
    name: str
    joint: int
    mean_cm: float
    most_cm: float
    cm: _containers.RepeatedScalarFieldContainer[float]
    mean_degrees: float
    most_degrees: float
    degrees: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, name: _Optional[str] = ..., joint: _Optional[int] = ..., mean_cm: _Optional[float] = ..., most_cm: _Optional[float] = ..., cm: _Optional[_Iterable[float]] = ..., mean_degrees: _Optional[float] = ..., most_degrees: _Optional[float] = ..., degrees: _Optional[_Iterable[float]] = ...) -> None: ...

class WorstMoment(_message.Message):
    __slots__ = ("step", "motion_s", "wanted_s", "mean_cm", "joint", "joint_cm")
    STEP_FIELD_NUMBER: _ClassVar[int]
    MOTION_S_FIELD_NUMBER: _ClassVar[int]
    WANTED_S_FIELD_NUMBER: _ClassVar[int]
    MEAN_CM_FIELD_NUMBER: _ClassVar[int]
    JOINT_FIELD_NUMBER: _ClassVar[int]
    JOINT_CM_FIELD_NUMBER: _ClassVar[int]
    step: int
    motion_s: float
    wanted_s: float
    mean_cm: float
    joint: str
    joint_cm: float
    def __init__(self, step: _Optional[int] = ..., motion_s: _Optional[float] = ..., wanted_s: _Optional[float] = ..., mean_cm: _Optional[float] = ..., joint: _Optional[str] = ..., joint_cm: _Optional[float] = ...) -> None: ...

class CountRepetitionsRequest(_message.Message):
    __slots__ = ("sequence", "wanted", "gallery")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    sequence: _embedding_pb2.Sequence
    wanted: Shown
    gallery: str
    def __init__(self, sequence: _Optional[_Union[_embedding_pb2.Sequence, _Mapping]] = ..., wanted: _Optional[_Union[Shown, _Mapping]] = ..., gallery: _Optional[str] = ...) -> None: ...

class CountRepetitionsResponse(_message.Message):
    __slots__ = ("repetitions", "nearness", "times_s")
    REPETITIONS_FIELD_NUMBER: _ClassVar[int]
    NEARNESS_FIELD_NUMBER: _ClassVar[int]
    TIMES_S_FIELD_NUMBER: _ClassVar[int]
    repetitions: _containers.RepeatedCompositeFieldContainer[Repetition]
    nearness: _containers.RepeatedScalarFieldContainer[float]
    times_s: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, repetitions: _Optional[_Iterable[_Union[Repetition, _Mapping]]] = ..., nearness: _Optional[_Iterable[float]] = ..., times_s: _Optional[_Iterable[float]] = ...) -> None: ...

class Repetition(_message.Message):
    __slots__ = ("start_s", "end_s", "nearness")
    START_S_FIELD_NUMBER: _ClassVar[int]
    END_S_FIELD_NUMBER: _ClassVar[int]
    NEARNESS_FIELD_NUMBER: _ClassVar[int]
    start_s: float
    end_s: float
    nearness: float
    def __init__(self, start_s: _Optional[float] = ..., end_s: _Optional[float] = ..., nearness: _Optional[float] = ...) -> None: ...
