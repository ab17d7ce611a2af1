from gfp_serve.v1 import embedding_pb2 as _embedding_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Metric(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METRIC_UNSPECIFIED: _ClassVar[Metric]
    METRIC_COSINE: _ClassVar[Metric]

class IndexKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INDEX_KIND_UNSPECIFIED: _ClassVar[IndexKind]
    INDEX_KIND_AUTO: _ClassVar[IndexKind]
    INDEX_KIND_EXACT: _ClassVar[IndexKind]
    INDEX_KIND_HNSW: _ClassVar[IndexKind]
    INDEX_KIND_IVF_SQ8: _ClassVar[IndexKind]
    INDEX_KIND_IVF_PQ: _ClassVar[IndexKind]

class Weighting(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WEIGHTING_UNSPECIFIED: _ClassVar[Weighting]
    WEIGHTING_SIMILARITY: _ClassVar[Weighting]
    WEIGHTING_UNIFORM: _ClassVar[Weighting]
METRIC_UNSPECIFIED: Metric
METRIC_COSINE: Metric
INDEX_KIND_UNSPECIFIED: IndexKind
INDEX_KIND_AUTO: IndexKind
INDEX_KIND_EXACT: IndexKind
INDEX_KIND_HNSW: IndexKind
INDEX_KIND_IVF_SQ8: IndexKind
INDEX_KIND_IVF_PQ: IndexKind
WEIGHTING_UNSPECIFIED: Weighting
WEIGHTING_SIMILARITY: Weighting
WEIGHTING_UNIFORM: Weighting

class CreateGalleryRequest(_message.Message):
    __slots__ = ("gallery", "metric", "index_kind", "expected_encoder_digest")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    INDEX_KIND_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    metric: Metric
    index_kind: IndexKind
    expected_encoder_digest: str
    def __init__(self, gallery: _Optional[str] = ..., metric: _Optional[_Union[Metric, str]] = ..., index_kind: _Optional[_Union[IndexKind, str]] = ..., expected_encoder_digest: _Optional[str] = ...) -> None: ...

class CreateGalleryResponse(_message.Message):
    __slots__ = ("description",)
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    description: GalleryDescription
    def __init__(self, description: _Optional[_Union[GalleryDescription, _Mapping]] = ...) -> None: ...

class DescribeGalleryRequest(_message.Message):
    __slots__ = ("gallery",)
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    def __init__(self, gallery: _Optional[str] = ...) -> None: ...

class DescribeGalleryResponse(_message.Message):
    __slots__ = ("description",)
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    description: GalleryDescription
    def __init__(self, description: _Optional[_Union[GalleryDescription, _Mapping]] = ...) -> None: ...

class ListGalleriesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListGalleriesResponse(_message.Message):
    __slots__ = ("galleries",)
    GALLERIES_FIELD_NUMBER: _ClassVar[int]
    galleries: _containers.RepeatedCompositeFieldContainer[GalleryDescription]
    def __init__(self, galleries: _Optional[_Iterable[_Union[GalleryDescription, _Mapping]]] = ...) -> None: ...

class DropGalleryRequest(_message.Message):
    __slots__ = ("gallery", "expected_encoder_digest")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    expected_encoder_digest: str
    def __init__(self, gallery: _Optional[str] = ..., expected_encoder_digest: _Optional[str] = ...) -> None: ...

class DropGalleryResponse(_message.Message):
    __slots__ = ("num_items",)
    NUM_ITEMS_FIELD_NUMBER: _ClassVar[int]
    num_items: int
    def __init__(self, num_items: _Optional[int] = ...) -> None: ...

class GalleryDescription(_message.Message):
    __slots__ = ("name", "encoder_digest", "embedding_size", "metric", "index_kind", "serving_kind", "is_building", "num_items", "generation", "num_bytes", "durable", "unsuited_kind", "num_motions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SIZE_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    INDEX_KIND_FIELD_NUMBER: _ClassVar[int]
    SERVING_KIND_FIELD_NUMBER: _ClassVar[int]
    IS_BUILDING_FIELD_NUMBER: _ClassVar[int]
    NUM_ITEMS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    NUM_BYTES_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    UNSUITED_KIND_FIELD_NUMBER: _ClassVar[int]
    NUM_MOTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    encoder_digest: str
    embedding_size: int
    metric: Metric
    index_kind: IndexKind
    serving_kind: IndexKind
    is_building: bool
    num_items: int
    generation: int
    num_bytes: int
    durable: bool
    unsuited_kind: IndexKind
    num_motions: int
    def __init__(self, name: _Optional[str] = ..., encoder_digest: _Optional[str] = ..., embedding_size: _Optional[int] = ..., metric: _Optional[_Union[Metric, str]] = ..., index_kind: _Optional[_Union[IndexKind, str]] = ..., serving_kind: _Optional[_Union[IndexKind, str]] = ..., is_building: bool = ..., num_items: _Optional[int] = ..., generation: _Optional[int] = ..., num_bytes: _Optional[int] = ..., durable: bool = ..., unsuited_kind: _Optional[_Union[IndexKind, str]] = ..., num_motions: _Optional[int] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("must", "any_of", "must_not", "where")
    MUST_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    MUST_NOT_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    must: _containers.RepeatedCompositeFieldContainer[Condition]
    any_of: _containers.RepeatedCompositeFieldContainer[Condition]
    must_not: _containers.RepeatedCompositeFieldContainer[Condition]
    where: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, must: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., any_of: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., must_not: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., where: _Optional[_Iterable[str]] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("key", "any_of", "range")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    key: str
    any_of: AnyOf
    range: Range
    def __init__(self, key: _Optional[str] = ..., any_of: _Optional[_Union[AnyOf, _Mapping]] = ..., range: _Optional[_Union[Range, _Mapping]] = ...) -> None: ...

class AnyOf(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    def __init__(self, values: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ...) -> None: ...

class Range(_message.Message):
    __slots__ = ("above", "at_least", "below", "at_most")
    ABOVE_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    BELOW_FIELD_NUMBER: _ClassVar[int]
    AT_MOST_FIELD_NUMBER: _ClassVar[int]
    above: float
    at_least: float
    below: float
    at_most: float
    def __init__(self, above: _Optional[float] = ..., at_least: _Optional[float] = ..., below: _Optional[float] = ..., at_most: _Optional[float] = ...) -> None: ...

class Effort(_message.Message):
    __slots__ = ("exact", "ef_search", "nprobe")
    EXACT_FIELD_NUMBER: _ClassVar[int]
    EF_SEARCH_FIELD_NUMBER: _ClassVar[int]
    NPROBE_FIELD_NUMBER: _ClassVar[int]
    exact: bool
    ef_search: int
    nprobe: int
    def __init__(self, exact: bool = ..., ef_search: _Optional[int] = ..., nprobe: _Optional[int] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("recording", "start_s", "end_s")
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    END_S_FIELD_NUMBER: _ClassVar[int]
    recording: str
    start_s: float
    end_s: float
    def __init__(self, recording: _Optional[str] = ..., start_s: _Optional[float] = ..., end_s: _Optional[float] = ...) -> None: ...

class Moment(_message.Message):
    __slots__ = ("source", "similarity", "label", "ids")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    source: Source
    similarity: float
    label: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, source: _Optional[_Union[Source, _Mapping]] = ..., similarity: _Optional[float] = ..., label: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Query(_message.Message):
    __slots__ = ("sequence", "embedding", "id")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    sequence: _embedding_pb2.Sequence
    embedding: _embedding_pb2.Embedding
    id: str
    def __init__(self, sequence: _Optional[_Union[_embedding_pb2.Sequence, _Mapping]] = ..., embedding: _Optional[_Union[_embedding_pb2.Embedding, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class Neighbour(_message.Message):
    __slots__ = ("id", "label", "similarity", "attributes", "source")
    ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    label: str
    similarity: float
    attributes: _struct_pb2.Struct
    source: Source
    def __init__(self, id: _Optional[str] = ..., label: _Optional[str] = ..., similarity: _Optional[float] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., source: _Optional[_Union[Source, _Mapping]] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("queries", "top_k", "expected_encoder_digest", "gallery", "filter", "effort", "merge_windows")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EFFORT_FIELD_NUMBER: _ClassVar[int]
    MERGE_WINDOWS_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[Query]
    top_k: int
    expected_encoder_digest: str
    gallery: str
    filter: Filter
    effort: Effort
    merge_windows: bool
    def __init__(self, queries: _Optional[_Iterable[_Union[Query, _Mapping]]] = ..., top_k: _Optional[int] = ..., expected_encoder_digest: _Optional[str] = ..., gallery: _Optional[str] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., effort: _Optional[_Union[Effort, _Mapping]] = ..., merge_windows: bool = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("results", "encoder_digest", "timing", "warnings")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SearchResult]
    encoder_digest: str
    timing: _embedding_pb2.Timing
    warnings: _containers.RepeatedCompositeFieldContainer[_embedding_pb2.Warning]
    def __init__(self, results: _Optional[_Iterable[_Union[SearchResult, _Mapping]]] = ..., encoder_digest: _Optional[str] = ..., timing: _Optional[_Union[_embedding_pb2.Timing, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[_embedding_pb2.Warning, _Mapping]]] = ...) -> None: ...

class SearchResult(_message.Message):
    __slots__ = ("neighbours", "moments")
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    MOMENTS_FIELD_NUMBER: _ClassVar[int]
    neighbours: _containers.RepeatedCompositeFieldContainer[Neighbour]
    moments: _containers.RepeatedCompositeFieldContainer[Moment]
    def __init__(self, neighbours: _Optional[_Iterable[_Union[Neighbour, _Mapping]]] = ..., moments: _Optional[_Iterable[_Union[Moment, _Mapping]]] = ...) -> None: ...

class ClassifyRequest(_message.Message):
    __slots__ = ("queries", "num_neighbours", "weighting", "temperature", "unknown_below", "expected_encoder_digest", "gallery", "filter", "effort", "balanced")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    NUM_NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTING_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_BELOW_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EFFORT_FIELD_NUMBER: _ClassVar[int]
    BALANCED_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[Query]
    num_neighbours: int
    weighting: Weighting
    temperature: float
    unknown_below: float
    expected_encoder_digest: str
    gallery: str
    filter: Filter
    effort: Effort
    balanced: bool
    def __init__(self, queries: _Optional[_Iterable[_Union[Query, _Mapping]]] = ..., num_neighbours: _Optional[int] = ..., weighting: _Optional[_Union[Weighting, str]] = ..., temperature: _Optional[float] = ..., unknown_below: _Optional[float] = ..., expected_encoder_digest: _Optional[str] = ..., gallery: _Optional[str] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., effort: _Optional[_Union[Effort, _Mapping]] = ..., balanced: bool = ...) -> None: ...

class ClassifyResponse(_message.Message):
    __slots__ = ("results", "encoder_digest", "timing", "warnings")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Classification]
    encoder_digest: str
    timing: _embedding_pb2.Timing
    warnings: _containers.RepeatedCompositeFieldContainer[_embedding_pb2.Warning]
    def __init__(self, results: _Optional[_Iterable[_Union[Classification, _Mapping]]] = ..., encoder_digest: _Optional[str] = ..., timing: _Optional[_Union[_embedding_pb2.Timing, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[_embedding_pb2.Warning, _Mapping]]] = ...) -> None: ...

class Classification(_message.Message):
    __slots__ = ("label", "unknown", "scores", "neighbours")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    label: str
    unknown: bool
    scores: _containers.RepeatedCompositeFieldContainer[ClassScore]
    neighbours: _containers.RepeatedCompositeFieldContainer[Neighbour]
    def __init__(self, label: _Optional[str] = ..., unknown: bool = ..., scores: _Optional[_Iterable[_Union[ClassScore, _Mapping]]] = ..., neighbours: _Optional[_Iterable[_Union[Neighbour, _Mapping]]] = ...) -> None: ...

class ClassScore(_message.Message):
    __slots__ = ("label", "score")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    label: str
    score: float
    def __init__(self, label: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class Item(_message.Message):
    __slots__ = ("id", "sequence", "embedding", "label", "attributes", "source", "motion")
    ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MOTION_FIELD_NUMBER: _ClassVar[int]
    id: str
    sequence: _embedding_pb2.Sequence
    embedding: _embedding_pb2.Embedding
    label: str
    attributes: _struct_pb2.Struct
    source: Source
    motion: Motion
    def __init__(self, id: _Optional[str] = ..., sequence: _Optional[_Union[_embedding_pb2.Sequence, _Mapping]] = ..., embedding: _Optional[_Union[_embedding_pb2.Embedding, _Mapping]] = ..., label: _Optional[str] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., source: _Optional[_Union[Source, _Mapping]] = ..., motion: _Optional[_Union[Motion, _Mapping]] = ...) -> None: ...

class Motion(_message.Message):
    __slots__ = ("positions", "num_frames", "num_bodies", "num_joints", "layout", "frame_numbers", "fps")
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    NUM_FRAMES_FIELD_NUMBER: _ClassVar[int]
    NUM_BODIES_FIELD_NUMBER: _ClassVar[int]
    NUM_JOINTS_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    FRAME_NUMBERS_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    positions: bytes
    num_frames: int
    num_bodies: int
    num_joints: int
    layout: str
    frame_numbers: _containers.RepeatedScalarFieldContainer[int]
    fps: float
    def __init__(self, positions: _Optional[bytes] = ..., num_frames: _Optional[int] = ..., num_bodies: _Optional[int] = ..., num_joints: _Optional[int] = ..., layout: _Optional[str] = ..., frame_numbers: _Optional[_Iterable[int]] = ..., fps: _Optional[float] = ...) -> None: ...

class UpsertRequest(_message.Message):
    __slots__ = ("items", "expected_encoder_digest", "gallery")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Item]
    expected_encoder_digest: str
    gallery: str
    def __init__(self, items: _Optional[_Iterable[_Union[Item, _Mapping]]] = ..., expected_encoder_digest: _Optional[str] = ..., gallery: _Optional[str] = ...) -> None: ...

class UpsertResponse(_message.Message):
    __slots__ = ("generation", "encoder_digest", "timing", "warnings")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    generation: int
    encoder_digest: str
    timing: _embedding_pb2.Timing
    warnings: _containers.RepeatedCompositeFieldContainer[_embedding_pb2.Warning]
    def __init__(self, generation: _Optional[int] = ..., encoder_digest: _Optional[str] = ..., timing: _Optional[_Union[_embedding_pb2.Timing, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[_embedding_pb2.Warning, _Mapping]]] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("ids", "expected_encoder_digest", "gallery")
    IDS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    expected_encoder_digest: str
    gallery: str
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., expected_encoder_digest: _Optional[str] = ..., gallery: _Optional[str] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ("num_deleted", "encoder_digest", "timing")
    NUM_DELETED_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    num_deleted: int
    encoder_digest: str
    timing: _embedding_pb2.Timing
    def __init__(self, num_deleted: _Optional[int] = ..., encoder_digest: _Optional[str] = ..., timing: _Optional[_Union[_embedding_pb2.Timing, _Mapping]] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("ids", "with_embeddings", "expected_encoder_digest", "gallery", "with_motions")
    IDS_FIELD_NUMBER: _ClassVar[int]
    WITH_EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    WITH_MOTIONS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    with_embeddings: bool
    expected_encoder_digest: str
    gallery: str
    with_motions: bool
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., with_embeddings: bool = ..., expected_encoder_digest: _Optional[str] = ..., gallery: _Optional[str] = ..., with_motions: bool = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("items", "encoder_digest", "timing")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Item]
    encoder_digest: str
    timing: _embedding_pb2.Timing
    def __init__(self, items: _Optional[_Iterable[_Union[Item, _Mapping]]] = ..., encoder_digest: _Optional[str] = ..., timing: _Optional[_Union[_embedding_pb2.Timing, _Mapping]] = ...) -> None: ...
