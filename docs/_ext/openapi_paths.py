"""The parts of the OpenAPI description that no proto has: live windows, REST paths, errors, and how the server is."""

import re
from typing import Any

_JSON = "application/json"
_STREAM = "/gfp_serve.v1.StreamService/EmbedStream"
_INFERENCE = "inference.GRPCInferenceService"


def live() -> dict[str, Any]:
    error = {"default": {"$ref": "#/components/responses/Error"}}
    stream = {"$ref": "#/components/parameters/stream"}
    message = {"$ref": "#/components/schemas/gfp_serve.v1.EmbedStreamRequest"}
    return {
        _STREAM: {
            "post": {
                "operationId": "StreamService.EmbedStream",
                "description": "Without `stream`: opens a stream of live windows with its config, and answers with "
                "server-sent events, `open`, `window` and at last `end` or `error`. With `stream`: brings frames to "
                "it, and answers with an empty object when they were taken. Only JSON.",
                "tags": ["StreamService"],
                "parameters": [stream, {"$ref": "#/components/parameters/arrays"}],
                "requestBody": {"required": True, "content": {_JSON: {"schema": message}}},
                "responses": {
                    "200": {
                        "description": "Events, or an empty object.",
                        "content": {
                            "text/event-stream": {"schema": {"$ref": "#/components/schemas/Event"}},
                            _JSON: {"schema": {"type": "object", "maxProperties": 0}},
                        },
                    },
                    **error,
                },
            },
            "delete": {
                "operationId": "StreamService.EmbedStream.end",
                "description": "Says that no more frames come: the last windows and the event `end` follow.",
                "tags": ["StreamService"],
                "parameters": [{**_path_of_stream()}],
                "responses": {"200": answer("An empty object.", {"type": "object", "maxProperties": 0}), **error},
            },
        }
    }


def _path_of_stream() -> dict[str, Any]:
    return {
        "name": "stream",
        "in": "query",
        "required": True,
        "description": "The id that the event `open` gave.",
        "schema": {"type": "string"},
    }


def rest() -> dict[str, Any]:
    """The REST form of the Open Inference Protocol."""
    found: dict[str, Any] = {}
    metadata = {"$ref": "#/components/schemas/inference.ModelMetadataResponse"}
    about = {
        "/v2": ("ServerMetadata", "Name, release and extensions of the server.", {"type": "object"}),
        "/v2/health/live": ("ServerLive", "200 while the server runs.", {"type": "object"}),
        "/v2/health/ready": ("ServerReady", "200 while calls are taken, otherwise 400.", {"type": "object"}),
        "/v2/models/stats": ("ModelStatistics", "What the models have done so far.", {"type": "object"}),
    }
    for prefix in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        about |= {
            prefix: ("ModelMetadata", "The model's inputs and outputs.", metadata),
            f"{prefix}/ready": ("ModelReady", "200 if the model takes calls, otherwise 400.", {"type": "object"}),
            f"{prefix}/config": ("ModelConfig", "Triton's description of the model.", {"type": "object"}),
            f"{prefix}/stats": ("ModelStatistics", "What the model has done so far.", {"type": "object"}),
            f"{prefix}/infer": ("ModelInfer", "Runs the model: `gfp-encoder` embeds, `gfp-knn` finds and votes.", {}),
        }
    for path, (rpc, text, reply) in about.items():
        names = re.findall(r"\{(\w+)\}", path)
        operation: dict[str, Any] = {
            "operationId": f"v2.{rpc}" + (".version" if "version" in names else "") + _ending(path, rpc),
            "description": text,
            "tags": ["Open Inference Protocol"],
            "x-rpc": f"{_INFERENCE}/{rpc}",
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ],
            "responses": {"200": answer(text, reply), "default": {"$ref": "#/components/responses/Error"}},
        }
        if rpc == "ModelInfer":
            operation["requestBody"] = {"required": True, "content": _with_binary("InferRequest")}
            operation["responses"]["200"] = {"description": "The outputs.", "content": _with_binary("InferReply")}
        found[path] = {"post" if rpc == "ModelInfer" else "get": operation}
    return found


def _ending(path: str, rpc: str) -> str:
    return ".all" if path == "/v2/models/stats" and rpc == "ModelStatistics" else ""


def _with_binary(schema: str) -> dict[str, Any]:
    return {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}, "application/octet-stream": {}}


def plain() -> dict[str, Any]:
    def page(name: str, text: str, kind: str, **more: Any) -> dict[str, Any]:
        answer = {"200": {"description": text, "content": {kind: {}}}, **more}
        return {
            "get": {"operationId": name, "description": text, "tags": ["Server"], "security": [], "responses": answer}
        }

    stopped = {"503": {"description": "The server starts or stops.", "content": {_JSON: {}}}}
    return {
        "/": page("welcome", "Says where the description is.", "text/plain"),
        "/healthz": page("health", "200 while calls are taken. Needs no token.", _JSON, **stopped),
        "/openapi.json": page("description", "This description. Needs no token.", _JSON),
    }


def answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {_JSON: {"schema": schema}}}


def error() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "A failed call. The reference of the wire lists the reasons.",
        "required": ["code", "message", "details"],
        "properties": {
            "code": {**text, "description": "gRPC's status in lower case, e.g. invalid_argument."},
            "message": {**text, "description": "What was wrong, what was expected, and what to do."},
            "reason": {**text, "description": "The error's name, e.g. INVALID_SKELETON."},
            "field": {**text, "description": "The field that is wrong, e.g. sequences[3].positions."},
            "error": {**text, "description": "The message again, for clients of the Open Inference Protocol."},
            "details": {
                "type": "array",
                "description": "The same as messages of google.rpc, for clients of Connect.",
                "items": {
                    "type": "object",
                    "required": ["type", "value"],
                    "properties": {"type": text, "value": {**text, "contentEncoding": "base64"}},
                },
            },
        },
    }


def event() -> dict[str, Any]:
    return {
        "type": "string",
        "description": "Server-sent events, whose data is JSON: `open` with the stream's id as `stream`, `window` with "
        "an EmbedStreamResponse, `error` with an Error, `end` with an empty object.",
    }


def tensors() -> dict[str, Any]:
    def tensor(*required: str) -> dict[str, Any]:
        return {
            "type": "object",
            "required": list(required),
            "properties": {
                "name": {"type": "string"},
                "datatype": {"type": "string", "enum": ["FP32", "INT32", "BYTES"]},
                "shape": {"type": "array", "items": {"type": "integer"}},
                "parameters": {
                    "type": "object",
                    "description": "`binary_data_size`: the bytes of this tensor behind the JSON.",
                },
                "data": {"type": "array", "description": "Numbers or texts, row by row or as nested lists."},
            },
        }

    def message(fields: dict[str, Any], text: str) -> dict[str, Any]:
        return {"type": "object", "description": text, "properties": fields}

    parameters = {"type": "object", "description": "Such as `layout`, `k` and `gallery`."}
    wanted = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "parameters": {"type": "object", "description": "`binary_data`: whether it comes behind the JSON."},
        },
    }
    return {
        "InferRequest": message(
            {
                "id": {"type": "string"},
                "parameters": parameters,
                "inputs": {"type": "array", "items": tensor("name", "datatype", "shape")},
                "outputs": {"type": "array", "items": wanted},
            },
            "An inference. Bytes of tensors may follow, with the header inference-header-content-length.",
        ),
        "InferReply": message(
            {
                "model_name": {"type": "string"},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "parameters": {"type": "object", "description": "`warning`: what may be wrong with the clips."},
                "outputs": {"type": "array", "items": tensor("name", "datatype", "shape")},
            },
            "The outputs of an inference.",
        ),
    }
