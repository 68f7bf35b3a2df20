"""`/v1/rerank`, and what of a stored item a reranker reads. Plain Python over the ports."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.errors import BadRequest, NotFound
from deployments.finding import find
from deployments.ports import IndexPort, RerankPort
from deployments.rerank import RerankInput, RerankReply, RerankTask, StoredInput
from deployments.schemas.rerank import RerankDocument, RerankRequest
from deployments.stages import Stages
from encoders import EncoderInput, InputError
from encoders.errors import EncoderError

NO_RERANKER = "no reranker runs here: set rerank.enabled in the profile"


class RerankService:
    """Scores what a request holds, or names by id."""

    def __init__(self, reranker: RerankPort | None, index: IndexPort) -> None:
        """`reranker` is None where none runs."""
        self._reranker = reranker
        self._index = index

    async def rerank(self, request: RerankRequest, stages: Stages) -> RerankReply:
        """A score each document, in order.

        Raises NotFound for an id, BadRequest for another model, InputError naming the field that cannot be read, and
        what the port raises.
        """
        if self._reranker is None:
            raise NotFound(NO_RERANKER, "path", "no_reranker")
        if request.model is not None and request.model not in self._reranker.names:
            known = ", ".join(sorted(self._reranker.names))
            raise BadRequest(f"there is no reranker {request.model!r}; here runs {known}", "model", "model_not_found")
        documents = await self._documents(request.documents)
        stages.lap("fetch")
        query = EncoderInput(request.query.text, request.query.image)
        reply = await self._reranker.rerank(RerankTask(query, tuple(documents), request.instruction))
        stages.split(reply.stages_s, rest="rerank_call")
        for row, scored in enumerate(reply.scores):
            if isinstance(scored, InputError):
                raise InputError(scored.message, scored.code, _field(request, row, scored.param)) from scored
            if isinstance(scored, EncoderError):
                raise scored
        return reply

    async def _documents(self, given: Sequence[RerankDocument]) -> list[RerankInput]:
        stored = {row: document.id for row, document in enumerate(given) if document.id is not None}
        records = dict(zip(stored, await find(self._index, list(stored.values())), strict=True)) if stored else {}
        documents: list[RerankInput] = []
        for row, document in enumerate(given):
            if row not in stored:
                documents.append(EncoderInput(document.text, document.image))
                continue
            record = records[row]
            if record is None:
                raise NotFound(f"there is no item {stored[row]!r}", f"documents[{row}].id")
            documents.append(StoredInput(record.payload.text, record.payload.media))
        return documents


def _field(request: RerankRequest, row: int, half: str | None) -> str:
    """The field of the request that a pair's error is about."""
    return "query" if half == "query" else f"documents[{row}]"
