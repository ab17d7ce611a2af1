"""What a search asks for and how neighbours vote, on the wire <-> values."""

import math
from dataclasses import dataclass
from types import NoneType
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from gfp_serve import filter_text
from gfp_serve.classify import (
    DEFAULT_NUM_NEIGHBOURS,
    DEFAULT_TEMPERATURE,
    DEFAULT_WEIGHTING,
    WEIGHTINGS,
    ClassScore,
    Weighting,
)
from gfp_serve.config import Limits
from gfp_serve.errors import InvalidRequestError, check_type, in_field
from gfp_serve.filters import AnyOf, Condition, Filter, Range
from gfp_serve.items import DEFAULT_TOP_K, Effort, Neighbour
from gfp_serve.v1 import gallery_pb2
from gfp_serve.wire.items import read_neighbour, write_neighbour

# The most that a filter may hold: backends look at each of these for every item.
MAX_CONDITIONS = 64
MAX_VALUES = 256
# Of all conditions of `where` together.
MAX_WHERE_LENGTH = 2**14

MAX_EF_SEARCH = 4096
MAX_NPROBE = 65_536

_WEIGHTING_NUMBERS: dict[Weighting, gallery_pb2.Weighting] = {
    "similarity": gallery_pb2.WEIGHTING_SIMILARITY,
    "uniform": gallery_pb2.WEIGHTING_UNIFORM,
}

_WEIGHTINGS_BY_NUMBER: dict[int, Weighting] = {
    gallery_pb2.WEIGHTING_UNSPECIFIED: DEFAULT_WEIGHTING,
    **{number: weighting for weighting, number in _WEIGHTING_NUMBERS.items()},
}

_NUMBER = (int, float, np.integer, np.floating)
_BOUNDS = ("above", "at_least", "below", "at_most")

M = TypeVar("M", bound=Message)


@runtime_checkable  # tests check arguments against their annotations
class Fit(Protocol):
    """Counts a part of a reply and gives it back. Raises `InvalidRequestError` when the reply has no room for it."""

    def __call__(self, message: M) -> M: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a request looks: in which gallery ("" is the default one), at which of its items, and how hard."""

    gallery: str
    where: Filter | None
    effort: Effort


@dataclass(frozen=True, slots=True)
class Voting:
    """How neighbours vote; see `classify.vote`. `balanced` divides each vote by the size of its class."""

    num_neighbours: int
    weighting: Weighting
    temperature: float
    unknown_below: float | None
    balanced: bool


@dataclass(frozen=True, slots=True)
class Classification:
    """The class with the highest score (`None` = unknown), all scores best first, and the neighbours that voted."""

    label: str | None
    scores: tuple[ClassScore, ...]
    neighbours: tuple[Neighbour, ...]


def write_search(scope: Scope, top_k: int, *, merge_windows: bool = False) -> gallery_pb2.SearchRequest:
    """A request without queries, which `read_scope` and `read_top_k` read.

    Raises `InvalidRequestError` for what cannot be sent.
    """
    return gallery_pb2.SearchRequest(
        top_k=_checked_count("top_k", top_k),
        gallery=scope.gallery,
        filter=None if scope.where is None else write_filter(scope.where),
        effort=write_effort(scope.effort),
        merge_windows=merge_windows,
    )


def write_classify(scope: Scope, voting: Voting) -> gallery_pb2.ClassifyRequest:
    """A request without queries, which `read_scope` and `read_voting` read.

    Raises `InvalidRequestError` for what cannot be sent.
    """
    for name, types in (("temperature", _NUMBER), ("unknown_below", (*_NUMBER, NoneType))):
        with in_field(name):
            check_type(getattr(voting, name), types, "give a number")
    return gallery_pb2.ClassifyRequest(
        num_neighbours=_checked_count("num_neighbours", voting.num_neighbours),
        weighting=write_weighting(voting.weighting),
        temperature=voting.temperature,
        unknown_below=voting.unknown_below,
        balanced=voting.balanced,
        gallery=scope.gallery,
        filter=None if scope.where is None else write_filter(scope.where),
        effort=write_effort(scope.effort),
    )


def read_scope(request: gallery_pb2.SearchRequest | gallery_pb2.ClassifyRequest, prefix: str = "") -> Scope:
    """Raises `InvalidRequestError` that names the field, after `prefix`, of what cannot be looked for."""
    return Scope(
        request.gallery,
        read_filter(request.filter, f"{prefix}filter"),
        read_effort(request.effort, f"{prefix}effort"),
    )


def read_top_k(request: gallery_pb2.SearchRequest) -> int:
    """How many neighbours the request asks for; `check_top_k` says whether that is allowed."""
    return request.top_k if request.HasField("top_k") else DEFAULT_TOP_K


def check_top_k(field: str, top_k: int, limits: Limits) -> None:
    """Raise `InvalidRequestError` for a number of neighbours that the server does not give."""
    if not 1 <= top_k <= limits.max_top_k:
        with in_field(field):
            raise InvalidRequestError(f"it is {top_k}; this server gives 1 to {limits.max_top_k} neighbours.")


def read_voting(request: gallery_pb2.ClassifyRequest) -> Voting:
    """Raises `InvalidRequestError` for values out of range; `check_top_k` checks the number of neighbours."""
    temperature = request.temperature if request.HasField("temperature") else DEFAULT_TEMPERATURE
    unknown_below = request.unknown_below if request.HasField("unknown_below") else None
    if not 0 < temperature < math.inf:
        with in_field("temperature"):
            raise InvalidRequestError(
                f"it is {temperature:g}; it must be above 0 and finite. {DEFAULT_TEMPERATURE} is usual."
            )
    if unknown_below is not None and not -1 <= unknown_below <= 1:
        with in_field("unknown_below"):
            raise InvalidRequestError(f"it is {unknown_below:g}; a similarity lies between -1 and 1.")
    with in_field("weighting"):
        weighting = read_weighting(request.weighting)
    return Voting(
        request.num_neighbours if request.HasField("num_neighbours") else DEFAULT_NUM_NEIGHBOURS,
        weighting,
        temperature,
        unknown_below,
        request.balanced,
    )


# Any: protobuf's enums are types to mypy, but not at run time.
def write_weighting(weighting: Weighting) -> Any:
    """The number that `read_weighting` reads. Raises `InvalidRequestError` for a weighting that does not exist."""
    if weighting not in WEIGHTINGS:
        with in_field("weighting"):
            raise InvalidRequestError(f"{weighting!r} is not a weighting; choose one of {', '.join(WEIGHTINGS)}.")
    return _WEIGHTING_NUMBERS[weighting]


def read_weighting(number: int) -> Weighting:
    """How much a neighbour's vote counts. Raises `InvalidRequestError` for a number that is not a Weighting."""
    if number not in _WEIGHTINGS_BY_NUMBER:
        raise InvalidRequestError(f"{number} is not a Weighting; choose one that gallery.proto lists.")
    return _WEIGHTINGS_BY_NUMBER[number]


def write_classification(classification: Classification, fit: Fit) -> gallery_pb2.Classification:
    """The message that `read_classification` reads, made of parts that each went through `fit`."""
    message = fit(gallery_pb2.Classification(label=classification.label or "", unknown=classification.label is None))
    for each in classification.scores:
        message.scores.append(fit(gallery_pb2.ClassScore(label=each.label, score=each.score)))
    for neighbour in classification.neighbours:
        message.neighbours.append(fit(write_neighbour(neighbour)))
    return message


def read_classification(message: gallery_pb2.Classification) -> Classification:
    """The class and the votes of a reply."""
    return Classification(
        None if message.unknown else message.label,
        tuple(ClassScore(each.label, each.score) for each in message.scores),
        tuple(map(read_neighbour, message.neighbours)),
    )


def write_filter(where: Filter) -> gallery_pb2.Filter:
    """The message that `read_filter` reads. Raises `InvalidRequestError` for text that is not UTF-8."""
    try:
        return gallery_pb2.Filter(
            must=map(_write_condition, where.must),
            any_of=map(_write_condition, where.any_of),
            must_not=map(_write_condition, where.must_not),
        )
    except (ValueError, TypeError) as error:
        raise InvalidRequestError(
            f"the filter cannot be sent: {error}; its values are texts, numbers and booleans."
        ) from error


def read_filter(message: gallery_pb2.Filter, path: str = "filter") -> Filter | None:
    """Which items may be found; None without conditions, because then all may be.

    Raises `InvalidRequestError` for a filter that holds too much, or a condition that says nothing; its field is the
    condition's place, below `path`.
    """
    groups = {name: getattr(message, name) for name in ("must", "any_of", "must_not")}
    num_conditions = sum(map(len, groups.values())) + len(message.where)
    if num_conditions == 0:
        return None
    with in_field(path):
        if num_conditions > MAX_CONDITIONS:
            raise InvalidRequestError(
                f"it has {num_conditions} conditions; this server looks at {MAX_CONDITIONS} or fewer. A condition may "
                f"list several values."
            )
        read: dict[str, tuple[Condition, ...]] = {}
        for name, conditions in groups.items():
            read[name] = ()
            for number, condition in enumerate(conditions):
                with in_field(f"{path}.{name}[{number}]"):
                    read[name] += (_read_condition(condition),)
        num_letters = sum(map(len, message.where))
        if num_letters > MAX_WHERE_LENGTH:
            with in_field(f"{path}.where"):
                raise InvalidRequestError(
                    f"its conditions have {num_letters} letters; this server reads {MAX_WHERE_LENGTH} or fewer."
                )
        for number, text in enumerate(message.where):
            with in_field(f"{path}.where[{number}]"):
                typed = _read_typed(text)
            read["must"] += typed.must
            read["must_not"] += typed.must_not
        return Filter(**read)


def write_effort(effort: Effort, path: str = "effort") -> gallery_pb2.Effort:
    """The message that `read_effort` reads; raises what that does."""
    _check_effort(effort, path)
    return gallery_pb2.Effort(exact=effort.exact, ef_search=effort.ef_search, nprobe=effort.nprobe)


def read_effort(message: gallery_pb2.Effort, path: str = "effort") -> Effort:
    """How hard a search looks. Raises `InvalidRequestError` for a number out of range."""
    effort = Effort(
        message.exact,
        message.ef_search if message.HasField("ef_search") else None,
        message.nprobe if message.HasField("nprobe") else None,
    )
    _check_effort(effort, path)
    return effort


def _write_condition(condition: Condition) -> gallery_pb2.Condition:
    if isinstance(condition, Range):
        bounds = {name: getattr(condition, name) for name in _BOUNDS}
        return gallery_pb2.Condition(key=condition.key, range=gallery_pb2.Range(**bounds))
    values = map(_write_value, condition.values)
    return gallery_pb2.Condition(key=condition.key, any_of=gallery_pb2.AnyOf(values=values))


def _read_condition(message: gallery_pb2.Condition) -> Condition:
    kind = message.WhichOneof("holds")
    if kind == "range":
        bounds = {name: getattr(message.range, name) for name in _BOUNDS if message.range.HasField(name)}
        return Range(message.key, **bounds)
    if kind is None:
        raise InvalidRequestError("it says nothing about the value; set one of any_of and range.")
    _check_num_values(len(message.any_of.values))
    return AnyOf(message.key, tuple(map(_read_value, message.any_of.values)))


def _read_typed(text: str) -> Filter:
    typed = filter_text.read_filter([text]) or Filter()
    for condition in (*typed.must, *typed.must_not):
        if isinstance(condition, AnyOf):
            _check_num_values(len(condition.values))
    return typed


def _check_num_values(num_values: int) -> None:
    if num_values > MAX_VALUES:
        raise InvalidRequestError(
            f"it lists {num_values} values; this server compares with {MAX_VALUES} or fewer. Split it, or give the "
            f"items an attribute that says the same."
        )


def _write_value(value: str | float | bool) -> Value:
    if isinstance(value, bool):  # a number in Python, but not in JSON
        return Value(bool_value=value)
    return Value(string_value=value) if isinstance(value, str) else Value(number_value=value)


def _read_value(message: Value) -> str | float | bool:
    kind = message.WhichOneof("kind")
    if kind not in ("string_value", "number_value", "bool_value") or not math.isfinite(message.number_value):
        raise InvalidRequestError("a value is neither a text nor a finite number nor true or false; it must be one.")
    return getattr(message, kind)


def _check_effort(effort: Effort, path: str) -> None:
    for name, value, most in (
        ("ef_search", effort.ef_search, MAX_EF_SEARCH),
        ("nprobe", effort.nprobe, MAX_NPROBE),
    ):
        if value is not None and not 1 <= value <= most:
            with in_field(f"{path}.{name}"):
                raise InvalidRequestError(f"it is {value}; it must lie between 1 and {most}, or not be set.")


def _checked_count(name: str, value: int) -> int:
    # What protobuf would not take has an error of its own there, which does not say what to do.
    with in_field(name):
        check_type(value, (int, np.integer), "give a whole number")
    if not 1 <= value < 2**31:
        with in_field(name):
            raise InvalidRequestError(f"it is {value}; it must be at least 1 and below 2^31.")
    return value
