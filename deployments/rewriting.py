"""How a search's text is put to the encoder: as it is, by the rules, or by a model for as long as the search can wait.

Whatever goes wrong with the model, the rules take its place and the answer says why. The model goes on with a query
that nobody waits for any more, so that whoever asks it next has it at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from deployments.errors import BadRequest, CrossrayError, Unavailable
from deployments.ports import StructurePort
from deployments.structurer import Structure
from encoders import EncoderError
from encoders.errors import Unstructured
from encoders.queries import MAX_QUERY_CHARS, Prompt, Rewrite, StructuredQuery, render_query, structure_query

NO_STRUCTURER = "no model rewrites queries here: set queries.structurer.enabled in the profile"
MAX_REMEMBERED = 4096
"""Queries whose structure is kept: of MAX_QUERY_CHARS each, a few megabytes."""
MAX_FLIGHTS = 64
"""Queries that the model may be reading; the rules take more."""
FLIGHT_S = 120.0
"""The model may have to wake up, but what takes longer will not come."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RewriteDefaults:
    """How searches are rewritten that do not say, and how long each waits for a model."""

    way: Rewrite = "off"
    deadline_ms: int = 1000


NO_REWRITING = RewriteDefaults()


@dataclass(frozen=True, slots=True)
class Rewriting:
    """The text to encode, and where it came from. `reason` says why the rules took the model's place."""

    text: str
    by: Rewrite
    structured: StructuredQuery
    reason: str = ""


class QueryRewriter:
    """Rewrites the queries of one process, in the prompt of its encoder."""

    def __init__(
        self,
        prompt: Prompt,
        defaults: RewriteDefaults = NO_REWRITING,
        structurer: StructurePort | None = None,
        *,
        on_done: Callable[[str], None] = lambda did: None,
    ) -> None:
        """`on_done` hears what became of each query for a model: model, recalled, unstructured, late or failed."""
        self._prompt = prompt
        self._defaults = defaults
        self._structurer = structurer
        self._on_done = on_done
        self._remembered: OrderedDict[str, StructuredQuery | Unstructured] = OrderedDict()
        self._flights: dict[str, asyncio.Task[Structure | CrossrayError]] = {}

    def way(self, asked: Rewrite | None) -> Rewrite:
        """What a request gets that asked for this. Raises BadRequest for a model where none runs."""
        way = asked or self._defaults.way
        if way == "model" and self._structurer is None:
            raise BadRequest(NO_STRUCTURER, "rewrite", "no_structurer")
        return way

    async def rewrite(self, query: str, way: Rewrite) -> Rewriting | None:
        """None where the query is to be encoded as it is. Never raises for what the model does."""
        if way == "off":
            return None
        if way == "template" or self._structurer is None:
            return self._by_rules(query)
        if len(query) > MAX_QUERY_CHARS:
            return self._by_rules(query, f"the query is longer than {MAX_QUERY_CHARS} characters")
        known = self._remembered.get(query)
        if known is not None:
            self._remembered.move_to_end(query)
            self._on_done("recalled")
            return self._rewriting(query, known)
        flight = self._flights.get(query) or self._start(query, self._structurer)
        if flight is None:
            self._on_done("failed")
            return self._by_rules(query, "the model is busy")
        # Waited for, not awaited: cancelling this caller must not cancel what others wait for.
        await asyncio.wait({flight}, timeout=self._defaults.deadline_ms / 1000)
        if not flight.done():
            self._on_done("late")
            waited = f"no answer within {self._defaults.deadline_ms} ms; a model that sleeps is waking up"
            return self._by_rules(query, waited)
        answer = flight.result()
        did = "model" if isinstance(answer, StructuredQuery) else "failed"
        self._on_done("unstructured" if isinstance(answer, Unstructured) else did)
        return self._rewriting(query, answer)

    def _rewriting(self, query: str, answer: Structure | CrossrayError) -> Rewriting:
        if not isinstance(answer, StructuredQuery):
            return self._by_rules(query, str(answer))
        return Rewriting(render_query(answer, self._prompt), "model", answer)

    def _by_rules(self, query: str, reason: str = "") -> Rewriting:
        structured = structure_query(query)
        return Rewriting(render_query(structured, self._prompt), "template", structured, reason)

    def _start(self, query: str, structurer: StructurePort) -> asyncio.Task[Structure | CrossrayError] | None:
        """None where too many are under way."""
        if len(self._flights) >= MAX_FLIGHTS:
            return None
        flight = asyncio.get_running_loop().create_task(self._fly(query, structurer))
        self._flights[query] = flight
        return flight

    async def _fly(self, query: str, structurer: StructurePort) -> Structure | CrossrayError:
        """The model's answer, remembered where it is final. Errors are returned: nobody may be there to hear them."""
        try:
            async with asyncio.timeout(FLIGHT_S):
                answer = await structurer.structure(query)
        except (CrossrayError, EncoderError) as error:
            return error
        except Exception as error:
            log.exception("reading a query failed")
            return Unavailable(f"{type(error).__name__}: see the server's log")
        finally:
            del self._flights[query]
        if isinstance(answer, StructuredQuery | Unstructured):
            self._remembered[query] = answer
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return answer
