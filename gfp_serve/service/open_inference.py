"""The Open Inference Protocol, version 2, which clients of KServe and Triton speak.

There are two models. `gfp-encoder` turns the input `skeleton` into the output `embedding`, FP32 [clips, size].
`gfp-knn` takes `skeleton` or `embedding`, and `k` (INT32 [1], or the parameter `k`; 5 if neither is given). It gives
`ids` (BYTES) and `similarity` (FP32), both [clips, found], nearest first, and the result of the neighbours' vote:
`label` (BYTES, empty if no neighbour has a label) and `label_score` (FP32), both [clips]. The parameter `gallery` names
the gallery to search; without it, that is the default one.

`skeleton` is FP32 [clips, frames, joints, 3] or [clips, frames, bodies, joints, 3]: metres, y up, NaN for what was not
seen. Joints of an image end in x, y; or in x, y, confidence, with the parameter `dimensions` 2. The parameter `layout`
names the joints; without it, they are those of "ntu25". The texts `up`, `unit` and `hand`, and the numbers
`image_width`, `image_height` and `min_confidence` say what they say in a `Sequence` of our own services. The parameter
`warning` of a reply says what may be wrong with the clips.
"""

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float32

from gfp_serve import __version__
from gfp_serve.batching.turns import Turns, Work
from gfp_serve.classify import DEFAULT_NUM_NEIGHBOURS, vote
from gfp_serve.config import Limits
from gfp_serve.doubts import Doubt, Look
from gfp_serve.errors import GfpError, InvalidRequestError, ModelNotFoundError, in_field, quoted
from gfp_serve.gallery.protocols import Galleries, Gallery
from gfp_serve.items import Effort, Neighbour
from gfp_serve.layouts import layout_named
from gfp_serve.service.access import caller_of
from gfp_serve.service.embedder import Embedded, Embedder
from gfp_serve.service.finding import Queries, ask_gallery, cost_of, find_neighbours, find_parted
from gfp_serve.service.open_inference_tensors import (
    ANY,
    Tensor,
    check_inputs,
    check_outputs,
    is_large,
    reading_tensors,
    write_output,
)
from gfp_serve.service.reply_budget import ReplyBudget
from gfp_serve.v1 import embedding_pb2, open_inference_pb2_grpc
from gfp_serve.v1 import open_inference_pb2 as oip
from gfp_serve.wire.arrays import check_size, write_positions
from gfp_serve.wire.searches import Scope
from gfp_serve.wire.status import is_answerable, shortened
from gfp_serve.wire.warnings import gathered

VERSION = "1"

# Parameters of a request that are texts.
_CONVENTIONS = ("up", "unit", "hand")

# How much of a request's id the reply to a failed request repeats.
_MAX_ID_LENGTH = 256
_EVERYWHERE = Scope("", None, Effort())
_CONFIG_TYPES = {"FP32": oip.TYPE_FP32, "INT32": oip.TYPE_INT32, "BYTES": oip.TYPE_STRING}


@dataclass(slots=True)
class _Model:
    """A model's tensors, and the protocol's statistics of what it has done so far."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    statistics: oip.ModelStatistics = field(default_factory=oip.ModelStatistics)


class OpenInferenceServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers the protocol's calls. `is_ready` says whether the server takes calls at this moment."""

    def __init__(
        self, embedder: Embedder, galleries: Galleries, reading: Turns, searches: Turns, is_ready: Callable[[], bool]
    ) -> None:
        self._embedder = embedder
        self._galleries = galleries
        self._reading = reading
        self._searches = searches
        self._is_ready = is_ready
        skeleton = Tensor("skeleton", "FP32", (ANY, ANY, ANY, ANY, ANY))
        embedding = Tensor("embedding", "FP32", (ANY, embedder.embedding_size))
        self._models = {
            "gfp-encoder": _Model((skeleton,), (embedding,)),
            "gfp-knn": _Model(
                (skeleton, embedding, Tensor("k", "INT32", (1,))),
                (
                    Tensor("ids", "BYTES", (ANY, ANY)),
                    Tensor("similarity", "FP32", (ANY, ANY)),
                    Tensor("label", "BYTES", (ANY,)),
                    Tensor("label_score", "FP32", (ANY,)),
                ),
            ),
        }

    async def ServerLive(self, _request: oip.ServerLiveRequest, _context: object) -> oip.ServerLiveResponse:
        return oip.ServerLiveResponse(live=True)

    async def ServerReady(self, _request: oip.ServerReadyRequest, _context: object) -> oip.ServerReadyResponse:
        return oip.ServerReadyResponse(ready=self._is_ready())

    async def ModelReady(self, request: oip.ModelReadyRequest, _context: object) -> oip.ModelReadyResponse:
        known = request.name in self._models and request.version in ("", VERSION)
        return oip.ModelReadyResponse(ready=known and self._is_ready())

    async def ServerMetadata(self, _request: oip.ServerMetadataRequest, _context: object) -> oip.ServerMetadataResponse:
        return oip.ServerMetadataResponse(
            name="gfp-serve", version=__version__, extensions=["model_configuration", "statistics"]
        )

    async def ModelMetadata(self, request: oip.ModelMetadataRequest, _context: object) -> oip.ModelMetadataResponse:
        model = self._model(request.name, request.version)
        described = oip.ModelMetadataResponse.TensorMetadata
        return oip.ModelMetadataResponse(
            name=request.name,
            versions=[VERSION],
            platform="onnxruntime_onnx",
            inputs=[described(name=each.name, datatype=each.datatype, shape=each.shape) for each in model.inputs],
            outputs=[described(name=each.name, datatype=each.datatype, shape=each.shape) for each in model.outputs],
        )

    async def ModelConfig(self, request: oip.ModelConfigRequest, _context: object) -> oip.ModelConfigResponse:
        model = self._model(request.name, request.version)
        # No max_batch_size: the server makes its own batches, and `dims` have all axes.
        config = oip.ModelConfig(name=request.name, platform="onnxruntime_onnx", backend="onnxruntime")
        config.input.extend(
            oip.ModelInput(name=each.name, data_type=_CONFIG_TYPES[each.datatype], dims=each.shape)
            for each in model.inputs
        )
        config.output.extend(
            oip.ModelOutput(name=each.name, data_type=_CONFIG_TYPES[each.datatype], dims=each.shape)
            for each in model.outputs
        )
        return oip.ModelConfigResponse(config=config)

    async def ModelStatistics(
        self, request: oip.ModelStatisticsRequest, _context: object
    ) -> oip.ModelStatisticsResponse:
        names = [request.name] if request.name else list(self._models)
        found = [self._model(name, request.version).statistics for name in names]
        for name, statistics in zip(names, found, strict=True):
            statistics.name, statistics.version = name, VERSION
        return oip.ModelStatisticsResponse(model_stats=found)

    async def ModelInfer(self, request: oip.ModelInferRequest, context: object) -> oip.ModelInferResponse:
        return await self._infer(request, caller_of(context))

    async def ModelStreamInfer(
        self, requests: AsyncIterator[oip.ModelInferRequest], context: object
    ) -> AsyncIterator[oip.ModelStreamInferResponse]:
        async for request in requests:
            try:
                reply = oip.ModelStreamInferResponse(infer_response=await self._infer(request, caller_of(context)))
            except GfpError as error:
                if not is_answerable(error):
                    raise
                # A request that fails does not end the stream; the reply has the id of the request.
                reply = oip.ModelStreamInferResponse(error_message=shortened(str(error)))
                reply.infer_response.id = request.id[:_MAX_ID_LENGTH]
            yield reply

    async def _infer(self, request: oip.ModelInferRequest, caller: str) -> oip.ModelInferResponse:
        model = self._model(request.model_name, request.model_version)
        started_ns = time.perf_counter_ns()
        try:
            check_outputs(request, model.outputs)
            check_inputs(request, model.inputs)
            self._check_counts(request)
            tensors: dict[str, np.ndarray] = {}
            await self._do(reading_tensors(request, tensors), request, caller)
            reply, embedded, search_s = await (
                self._encode(request, tensors, caller)
                if request.model_name == "gfp-encoder"
                else self._knn(request, tensors, caller)
            )
        except BaseException:
            _add(model.statistics.inference_stats.fail, time.perf_counter_ns() - started_ns)
            raise
        _note(model.statistics, embedded, search_s, time.perf_counter_ns() - started_ns)
        return reply

    def _check_counts(self, request: oip.ModelInferRequest) -> None:
        """Refuse inputs that are larger than the server takes before their numbers are read."""
        for message in request.inputs:
            if message.name == "skeleton":
                self._check_clips(request, tuple(message.shape))
            elif message.name == "embedding":
                self._embedder.check_count("embedding", message.shape[0])

    def _check_clips(self, request: oip.ModelInferRequest, shape: tuple[int, ...]) -> None:
        layout = layout_named(_text(request, "layout") or "ntu25")
        with in_field("skeleton"):
            if len(shape) not in (4, 5) or shape[-2] != layout.num_joints or shape[-1] not in (2, 3):
                raise InvalidRequestError(
                    f"its shape is {list(shape)}; {layout.name} clips have [clips, frames, {layout.num_joints}, 3] or "
                    f"[clips, frames, bodies, {layout.num_joints}, 3], and joints of an image may end in 2. The "
                    f'parameter "layout" names another.'
                )
        self._embedder.check_count("skeleton", shape[0])
        with in_field("skeleton"):
            check_size(shape[1], shape[2] if len(shape) == 5 else 1, self._embedder.limits)

    async def _do(self, work: Work, request: oip.ModelInferRequest, caller: str) -> None:
        """Do what takes longer the larger the request is: here, or in turns with others' work if it is large."""
        if is_large(request):
            await self._reading.run(work, caller=caller)
        else:
            deque(work, maxlen=0)

    async def _encode(
        self, request: oip.ModelInferRequest, tensors: Mapping[str, np.ndarray], caller: str
    ) -> tuple[oip.ModelInferResponse, Embedded, float]:
        if "skeleton" not in tensors:
            raise InvalidRequestError("gfp-encoder takes one input, skeleton, which the request does not have.")
        embedded = await self._embed(request, tensors["skeleton"], caller)
        reply = oip.ModelInferResponse()
        _write_reply(reply, request, {"embedding": embedded.vectors}, self._embedder.limits)
        _warn(reply, embedded.doubts)
        return reply, embedded, 0.0

    async def _knn(
        self, request: oip.ModelInferRequest, tensors: Mapping[str, np.ndarray], caller: str
    ) -> tuple[oip.ModelInferResponse, Embedded, float]:
        if ("skeleton" in tensors) == ("embedding" in tensors):
            raise InvalidRequestError("gfp-knn takes either skeleton or embedding as input; send one of them.")
        k = _k_of(request, tensors, min(DEFAULT_NUM_NEIGHBOURS, self._embedder.limits.max_top_k))
        if not 1 <= k <= self._embedder.limits.max_top_k:
            with in_field("k"):
                raise InvalidRequestError(
                    f"it is {k}; this server gives 1 to {self._embedder.limits.max_top_k} neighbours."
                )
        gallery = await ask_gallery(self._galleries, _text(request, "gallery"), self._searches, caller=caller)
        vectors = _check_vectors(tensors["embedding"], self._embedder) if "embedding" in tensors else None
        reply = oip.ModelInferResponse()
        (queries,) = tensors.keys() - {"k"}
        with self._searches.admit(cost_of(gallery, _EVERYWHERE, len(tensors[queries]), k)):
            embedded = (
                Embedded(vectors) if vectors is not None else await self._embed(request, tensors["skeleton"], caller)
            )
            search_s = await self._searches.run(self._find(gallery, request, embedded, k, reply), caller=caller)
        return reply, embedded, search_s

    def _find(
        self,
        gallery: Gallery,
        request: oip.ModelInferRequest,
        embedded: Embedded,
        k: int,
        reply: oip.ModelInferResponse,
    ) -> Work:
        looks: list[Look | None] = list(embedded.looks)
        # The outputs are arrays, so all clips must find equally many; clips of both kinds look at all items.
        if len({look.dimensions for look in embedded.looks}) != 1:
            looks = [None] * len(embedded.vectors)
        queries = Queries(embedded.vectors, [None] * len(looks), looks)
        find, compares = partial(find_neighbours, gallery, top_k=k), self._embedder.compares_dimensions
        doubts = embedded.doubts
        ids: list[list[str]] = []
        similarities: list[list[float]] = []
        votes: list[tuple[str, float]] = []
        for block in queries.blocks(gallery, _EVERYWHERE):
            for neighbours in find_parted(block, _EVERYWHERE, find, compares_dimensions=compares):
                sees_travel = self._embedder.sees_travel
                doubts += queries.doubts_about(len(votes), neighbours, sees_travel=sees_travel, field="skeleton")
                ids.append([each.id for each in neighbours])
                similarities.append([each.similarity for each in neighbours])
                votes.append(_vote(neighbours))
                yield
        fewest = min(map(len, ids))  # items may be written between two queries
        outputs = {
            "ids": np.array([each[:fewest] for each in ids], dtype=object),
            "similarity": np.array([each[:fewest] for each in similarities], np.float32),
            "label": np.array([label for label, _ in votes], dtype=object),
            "label_score": np.array([score for _, score in votes], np.float32),
        }
        _write_reply(reply, request, outputs, self._embedder.limits)
        _warn(reply, doubts)

    async def _embed(self, request: oip.ModelInferRequest, clips: np.ndarray, caller: str) -> Embedded:
        sequences = clips[:, :, None] if clips.ndim == 4 else clips
        layout = _text(request, "layout") or "ntu25"
        about = _about(request, flat=sequences.shape[4] == 2)
        messages: list[tuple[str, embedding_pb2.Sequence]] = []
        await self._do(_writing_sequences(sequences, layout, about, messages), request, caller)
        return await self._embedder.embed(messages, caller=caller)

    def _model(self, name: str, version: str) -> _Model:
        if name not in self._models or version not in ("", VERSION):
            asked = f"{quoted(name)} of version {quoted(version)}" if version else quoted(name)
            raise ModelNotFoundError(
                f"there is no model {asked}; this server has {', '.join(self._models)}, version {VERSION}."
            )
        return self._models[name]


def _writing_sequences(
    clips: np.ndarray,
    layout: str,
    about: embedding_pb2.Sequence,
    messages: list[tuple[str, embedding_pb2.Sequence]],
) -> Work:
    """Add clips [clips, frames, bodies, joints, 2 or 3] as messages of our own services, each with its field."""
    for number, clip in enumerate(clips):
        num_frames, num_bodies, num_joints, _ = clip.shape
        counts = {"num_frames": num_frames, "num_bodies": num_bodies, "num_joints": num_joints}
        message = embedding_pb2.Sequence(positions=write_positions(clip), layout=layout, **counts)
        message.MergeFrom(about)
        messages.append((f"skeleton[{number}]", message))
        yield


def _about(request: oip.ModelInferRequest, *, flat: bool) -> embedding_pb2.Sequence:
    """What the request's parameters say of every clip, in the words of our own services."""
    dimensions = _number(request, "dimensions")
    if dimensions not in (None, 2, 3) or (flat and dimensions == 3):
        with in_field("dimensions"):
            ends = " This array ends in 2 numbers, so joints have 2." if flat else ""
            raise InvalidRequestError(f"it is {dimensions}; joints have 2 or 3.{ends}")
    flat = flat or dimensions == 2
    for name in ("image_width", "image_height", "min_confidence"):
        if not flat and name in request.parameters:
            with in_field(name):
                raise InvalidRequestError('it is for joints of an image; add the parameter "dimensions" 2.')
    about = embedding_pb2.Sequence(
        dimensions=2 if flat else None,
        image_width=_number(request, "image_width") or 0,
        image_height=_number(request, "image_height") or 0,
    )
    said = embedding_pb2.Conventions(
        **{name: _text(request, name) for name in _CONVENTIONS}, min_confidence=_number(request, "min_confidence")
    )
    if said.ByteSize():
        about.conventions.CopyFrom(said)
    return about


def _text(request: oip.ModelInferRequest, name: str) -> str:
    # Reading a missing key of a message's map would add it.
    if name not in request.parameters:
        return ""
    if request.parameters[name].WhichOneof("parameter_choice") != "string_param":
        with in_field(name):
            raise InvalidRequestError("it must be a text, as string_param.")
    return request.parameters[name].string_param


def _number(request: oip.ModelInferRequest, name: str) -> Any:
    """A parameter, as an integer if it is one; None if it is absent. Raises `InvalidRequestError` for no number."""
    if name not in request.parameters:
        return None
    parameter = request.parameters[name]
    kind = parameter.WhichOneof("parameter_choice")
    if kind not in ("int64_param", "uint64_param", "double_param") or not 0 <= getattr(parameter, kind) < 2**31:
        with in_field(name):
            raise InvalidRequestError("it must be a number, 0 or more, as int64_param or double_param.")
    value = getattr(parameter, kind)
    return int(value) if value == int(value) else value


def _k_of(request: oip.ModelInferRequest, tensors: Mapping[str, np.ndarray], default: int) -> int:
    if "k" in tensors:
        if tensors["k"].size != 1:
            with in_field("k"):
                raise InvalidRequestError(f"it holds {tensors['k'].size} numbers; it must hold one.")
        return int(tensors["k"].reshape(-1)[0])
    if "k" not in request.parameters:
        return default
    k = _number(request, "k")
    if not isinstance(k, int):
        with in_field("k"):
            raise InvalidRequestError(f"it is {k:g}; it must be a whole number.")
    return k


def _check_vectors(vectors: np.ndarray, embedder: Embedder) -> Float32[np.ndarray, "clips size"]:
    embedder.check_count("embedding", len(vectors))
    with in_field("embedding"):
        if vectors.ndim != 2 or vectors.shape[1] != embedder.embedding_size:
            raise InvalidRequestError(
                f"its shape is {list(vectors.shape)}; this encoder's have [clips, {embedder.embedding_size}]."
            )
        if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
            raise InvalidRequestError("one has no direction: it is zero, or a component is not finite.")
    return vectors.astype(np.float32, copy=False)


def _vote(neighbours: list[Neighbour]) -> tuple[str, float]:
    decision = vote([each.label for each in neighbours], [each.similarity for each in neighbours])
    return decision.label or "", decision.scores[0].score if decision.scores else 0.0


def _write_reply(
    reply: oip.ModelInferResponse,
    request: oip.ModelInferRequest,
    outputs: Mapping[str, np.ndarray],
    limits: Limits,
) -> None:
    """Write the outputs that were asked for. Raises `InvalidRequestError` for more than the server sends at once."""
    budget = ReplyBudget(limits, "lower k, shorten the id or send fewer clips")
    wanted = {output.name for output in request.outputs} or set(outputs)
    reply.model_name, reply.model_version, reply.id = request.model_name, VERSION, request.id
    budget.fit(reply)
    for name, values in outputs.items():
        if name in wanted:
            write_output(reply, name, values, budget)


def _warn(reply: oip.ModelInferResponse, doubts: Sequence[tuple[str, Doubt]]) -> None:
    """Say in the parameter `warning` what may be wrong with the clips; the protocol has no field for it."""
    if doubts:
        reply.parameters["warning"].string_param = " ".join(map(str, gathered(doubts)))


def _note(statistics: oip.ModelStatistics, embedded: Embedded, search_s: float, total_ns: int) -> None:
    statistics.last_inference = time.time_ns() // 1_000_000
    statistics.inference_count += len(embedded.vectors)
    statistics.execution_count += 1
    of_calls = statistics.inference_stats
    _add(of_calls.success, total_ns)
    for total, seconds in (
        (of_calls.queue, embedded.queue_s),
        (of_calls.compute_input, embedded.preprocess_s),
        (of_calls.compute_infer, embedded.inference_s),
        (of_calls.compute_output, search_s),
    ):
        _add(total, round(seconds * 1e9))


def _add(total: oip.StatisticDuration, ns: int) -> None:
    total.count += 1
    total.ns += ns
