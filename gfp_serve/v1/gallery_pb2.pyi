from gfp_serve.v1 import embedding_pb2 as _embedding_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Weighting(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WEIGHTING_UNSPECIFIED: _ClassVar[Weighting]
    WEIGHTING_SIMILARITY: _ClassVar[Weighting]
    WEIGHTING_UNIFORM: _ClassVar[Weighting]
WEIGHTING_UNSPECIFIED: Weighting
WEIGHTING_SIMILARITY: Weighting
WEIGHTING_UNIFORM: Weighting

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
    __slots__ = ("id", "label", "similarity", "attributes")
    ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    label: str
    similarity: float
    attributes: _struct_pb2.Struct
    def __init__(self, id: _Optional[str] = ..., label: _Optional[str] = ..., similarity: _Optional[float] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("queries", "top_k", "expected_encoder_digest")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[Query]
    top_k: int
    expected_encoder_digest: str
    def __init__(self, queries: _Optional[_Iterable[_Union[Query, _Mapping]]] = ..., top_k: _Optional[int] = ..., expected_encoder_digest: _Optional[str] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("results", "encoder_digest", "timing")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SearchResult]
    encoder_digest: str
    timing: _embedding_pb2.Timing
    def __init__(self, results: _Optional[_Iterable[_Union[SearchResult, _Mapping]]] = ..., encoder_digest: _Optional[str] = ..., timing: _Optional[_Union[_embedding_pb2.Timing, _Mapping]] = ...) -> None: ...

class SearchResult(_message.Message):
    __slots__ = ("neighbours",)
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    neighbours: _containers.RepeatedCompositeFieldContainer[Neighbour]
    def __init__(self, neighbours: _Optional[_Iterable[_Union[Neighbour, _Mapping]]] = ...) -> None: ...

class ClassifyRequest(_message.Message):
    __slots__ = ("queries", "num_neighbours", "weighting", "temperature", "unknown_below", "expected_encoder_digest")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    NUM_NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTING_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_BELOW_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[Query]
    num_neighbours: int
    weighting: Weighting
    temperature: float
    unknown_below: float
    expected_encoder_digest: str
    def __init__(self, queries: _Optional[_Iterable[_Union[Query, _Mapping]]] = ..., num_neighbours: _Optional[int] = ..., weighting: _Optional[_Union[Weighting, str]] = ..., temperature: _Optional[float] = ..., unknown_below: _Optional[float] = ..., expected_encoder_digest: _Optional[str] = ...) -> None: ...

class ClassifyResponse(_message.Message):
    __slots__ = ("results", "encoder_digest", "timing")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Classification]
    encoder_digest: str
    timing: _embedding_pb2.Timing
    def __init__(self, results: _Optional[_Iterable[_Union[Classification, _Mapping]]] = ..., encoder_digest: _Optional[str] = ..., timing: _Optional[_Union[_embedding_pb2.Timing, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("id", "sequence", "embedding", "label", "attributes")
    ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    sequence: _embedding_pb2.Sequence
    embedding: _embedding_pb2.Embedding
    label: str
    attributes: _struct_pb2.Struct
    def __init__(self, id: _Optional[str] = ..., sequence: _Optional[_Union[_embedding_pb2.Sequence, _Mapping]] = ..., embedding: _Optional[_Union[_embedding_pb2.Embedding, _Mapping]] = ..., label: _Optional[str] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class UpsertRequest(_message.Message):
    __slots__ = ("items", "expected_encoder_digest")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Item]
    expected_encoder_digest: str
    def __init__(self, items: _Optional[_Iterable[_Union[Item, _Mapping]]] = ..., expected_encoder_digest: _Optional[str] = ...) -> None: ...

class UpsertResponse(_message.Message):
    __slots__ = ("generation", "encoder_digest", "timing")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    generation: int
    encoder_digest: str
    timing: _embedding_pb2.Timing
    def __init__(self, generation: _Optional[int] = ..., encoder_digest: _Optional[str] = ..., timing: _Optional[_Union[_embedding_pb2.Timing, _Mapping]] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("ids", "expected_encoder_digest")
    IDS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    expected_encoder_digest: str
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., expected_encoder_digest: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("ids", "with_embeddings", "expected_encoder_digest")
    IDS_FIELD_NUMBER: _ClassVar[int]
    WITH_EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    with_embeddings: bool
    expected_encoder_digest: str
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., with_embeddings: bool = ..., expected_encoder_digest: _Optional[str] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("items", "encoder_digest", "timing")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Item]
    encoder_digest: str
    timing: _embedding_pb2.Timing
    def __init__(self, items: _Optional[_Iterable[_Union[Item, _Mapping]]] = ..., encoder_digest: _Optional[str] = ..., timing: _Optional[_Union[_embedding_pb2.Timing, _Mapping]] = ...) -> None: ...
