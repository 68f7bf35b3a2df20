"""`POST /v1/embeddings`, OpenAI-shaped, and `POST /v1/match`."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from deployments.bodies import parse_json
from deployments.catalog.versions import DEFAULT
from deployments.openapi import json_body
from deployments.render import error_content, json_response
from deployments.resolving import Collections, ask
from deployments.schemas.embeddings import EmbeddingsAnswer, EmbeddingsRequest
from deployments.schemas.match import MatchAnswer, MatchRequest
from deployments.space import FINGERPRINT_HEADER, require_header
from encoders import EncoderError, EncoderInput, InputError, Vectors


def router(collections: Collections) -> APIRouter:
    routes = APIRouter(tags=["embeddings"])

    @routes.post(
        "/v1/embeddings",
        response_model=EmbeddingsAnswer,
        openapi_extra=json_body(EmbeddingsRequest),
        summary="Vectors of texts, images, or both fused (OpenAI-shaped)",
    )
    async def embeddings(request: Request) -> Response:
        request.state.operation = "embeddings"
        body = parse_json(EmbeddingsRequest, await request.body())
        model = (await collections.services(DEFAULT)).models.named(body.model)
        require_header(model.info, request.headers)
        request.state.inputs = len(body.input)
        inputs = [EncoderInput(given.text, given.image) for given in body.input]
        request.state.stages.lap("read")
        results = await model.embeddings.embed(inputs, body.input_type, body.dimensions, request.state.stages)
        failed = [result for result in results if isinstance(result, EncoderError)]
        if len(failed) == len(results):
            raise _at("input[0]" if len(results) > 1 else "input", failed[0])
        data = [_datum(row, result, body.encoding_format) for row, result in enumerate(results)]
        tokens = sum(len((item.text or "").split()) for item in inputs)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        answer = json_response({"object": "list", "data": data, "model": model.info.name, "usage": usage})
        answer.headers[FINGERPRINT_HEADER] = model.info.contract.fingerprint
        return answer

    @routes.post(
        "/v1/match",
        response_model=MatchAnswer,
        openapi_extra=json_body(MatchRequest),
        summary="Every text against every image",
    )
    async def match(request: Request) -> Response:
        request.state.operation = "match"
        body = parse_json(MatchRequest, await request.body())
        request.state.inputs = len(body.texts) + len(body.images)
        request.state.stages.lap("read")
        services, (cosine, probability) = await ask(
            collections,
            request,
            body.collection,
            lambda s: s.embeddings.match(body.texts, body.images, request.state.stages),
        )
        info = services.info
        content = {
            "cosine": cosine.tolist(),
            "probability": None if probability is None else probability.tolist(),
            "model": info.name,
            "fingerprint": info.contract.fingerprint,
        }
        return json_response(content)

    return routes


def _at(param: str, error: EncoderError) -> EncoderError:
    """The error, with the field that it is about where that field is at fault."""
    return InputError(error.message, error.code, param) if isinstance(error, InputError) else error


def _datum(row: int, result: Vectors | EncoderError, encoding: str) -> dict[str, Any]:
    """One element of `data`. An input that failed alone keeps its place, with its error and no embedding."""
    if isinstance(result, EncoderError):
        failed = error_content(_at(f"input[{row}]", result))
        return {"object": "embedding", "index": row, "embedding": None, **failed}
    if encoding == "base64":  # little-endian float32, as OpenAI's clients decode it
        return {
            "object": "embedding",
            "index": row,
            "embedding": base64.b64encode(result.astype("<f4").tobytes()).decode(),
        }
    return {"object": "embedding", "index": row, "embedding": np.asarray(result).tolist()}
