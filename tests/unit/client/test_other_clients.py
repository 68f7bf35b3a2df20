"""Clients that others wrote work unchanged: the `openai` package for embeddings, the `cohere` package for reranking;
and LangChain's own machinery runs over our embeddings and retriever.

All are real, and talk to the real application over a socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import cohere
import httpx
import numpy as np
import openai
import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore

from crossray_client import ApiError, Client, NewItem
from crossray_client.langchain import CrossrayEmbeddings, CrossrayRetriever
from tests.unit.client.conftest import picture

TEXTS = ["a red boat", "蓝天", "a green tree"]


@pytest.fixture
def vectors(url: str) -> np.ndarray:
    """What the API itself says that the texts' vectors are."""
    answer = httpx.post(f"{url}/v1/embeddings", json={"input": TEXTS}, trust_env=False).json()
    return np.array([datum["embedding"] for datum in answer["data"]], dtype=np.float32)


@pytest.fixture
def openai_client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}], ids=["its default, base64", "float"])
def test_openai_embeds(openai_client: openai.OpenAI, vectors: np.ndarray, options: dict[str, str]) -> None:
    answer = openai_client.embeddings.create(model="fake", input=TEXTS, **options)
    assert np.array_equal(np.array([datum.embedding for datum in answer.data], dtype=np.float32), vectors)
    assert [datum.index for datum in answer.data] == [0, 1, 2]
    assert answer.model == "fake"
    assert answer.usage.total_tokens > 0


def test_openai_is_given_raw_base64_where_it_asks_for_it(openai_client: openai.OpenAI, vectors: np.ndarray) -> None:
    import base64

    answer = openai_client.embeddings.create(model="fake", input=TEXTS[0], encoding_format="base64")
    raw = answer.data[0].embedding
    assert isinstance(raw, str)
    assert np.array_equal(np.frombuffer(base64.b64decode(raw), "<f4"), vectors[0])


def test_openai_embeds_asynchronously(url: str, vectors: np.ndarray) -> None:
    async def embed() -> list[float]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            return (await client.embeddings.create(model="fake", input=TEXTS[0], dimensions=64)).data[0].embedding

    assert np.array_equal(np.array(asyncio.run(embed()), dtype=np.float32), vectors[0])


def test_openai_lists_the_models(openai_client: openai.OpenAI) -> None:
    assert [model.id for model in openai_client.models.list().data] == ["fake"]


def test_openai_reads_our_errors(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client.embeddings.create(model="fake", input="poison")
    assert (caught.value.code, caught.value.type) == ("refused", "invalid_request_error")
    with pytest.raises(openai.BadRequestError, match="no model 'another'"):
        openai_client.embeddings.create(model="another", input="a")


RANKED = ["a blue sky", "a red car", "red"]


@pytest.mark.parametrize("kind", [cohere.Client, cohere.ClientV2])
def test_cohere_reranks(url: str, kind: type[cohere.Client | cohere.ClientV2]) -> None:
    with httpx.Client(trust_env=False) as http:
        client = kind(api_key="none", base_url=url, httpx_client=http)
        answer = client.rerank(model="fake-reranker", query="red", documents=RANKED, top_n=2)
    assert [result.index for result in answer.results] == [1, 2]
    assert all(0 < result.relevance_score <= 1 for result in answer.results)
    assert answer.meta is not None
    assert answer.meta.billed_units is not None
    assert answer.meta.billed_units.search_units == 1


def test_cohere_sends_documents_back(url: str) -> None:
    with httpx.Client(trust_env=False) as http:
        client = cohere.Client(api_key="none", base_url=url, httpx_client=http)
        answer = client.rerank(query="red", documents=RANKED, return_documents=True)
    assert [result.document.text for result in answer.results if result.document] == ["a red car", "red", "a blue sky"]


def test_cohere_reads_our_errors(url: str) -> None:
    with httpx.Client(trust_env=False) as http:
        client = cohere.ClientV2(api_key="none", base_url=url, httpx_client=http)
        with pytest.raises(cohere.BadRequestError, match="top_n"):
            client.rerank(model="fake-reranker", query="red", documents=RANKED, top_n=0)


def test_langchain_embeds(url: str, vectors: np.ndarray) -> None:
    with Client(url, trust_env=False) as client:
        embeddings = CrossrayEmbeddings(client, model="fake")
        many = [f"text {n}" for n in range(200)] + TEXTS
        made = embeddings.embed_documents(many)
        assert np.array_equal(np.array(made[200:], np.float32), vectors)
        assert (len(made), embeddings.embed_documents([])) == (203, [])
        assert asyncio.run(embeddings.aembed_query(TEXTS[0])) == embeddings.embed_query(TEXTS[0])
        with pytest.raises(ApiError, match="poison"):
            embeddings.embed_documents(["fine", "poison"])


def test_langchain_retrieves(url: str) -> None:
    with Client(url, trust_env=False) as client:
        store = InMemoryVectorStore(CrossrayEmbeddings(client))
        store.add_texts(RANKED)
        assert store.similarity_search("red", k=1)[0].page_content == "red"
        client.store(NewItem(text="red", id="a-red", source="wall", tags=["t"], metadata={"year": 2024, "crossray": 1}))
        client.store(NewItem(image=picture("red"), id="red-photo", metadata={"source": "its own"}))
        retriever = CrossrayRetriever(client=client, options={"top_k": 2})
        found = {document.id: document for document in (retriever | RunnableLambda(list)).invoke("red")}
        told = found["a-red"].metadata
        assert (found["a-red"].page_content, told["source"], told["year"]) == ("red", "wall", 2024)
        assert (told["crossray"]["kind"], told["crossray"]["tags"]) == ("text", ["t"])
        assert told["crossray"]["score"] == pytest.approx(1, abs=1e-3)
        photo = CrossrayRetriever(client=client, options={"target": "image"}).invoke("red")[0]
        assert (photo.page_content, photo.metadata["source"]) == ("", "its own")
        assert photo.metadata["crossray"]["image_url"] == "/v1/items/red-photo/image"
        with pytest.raises(ApiError, match="top_k"):
            CrossrayRetriever(client=client, options={"top_k": 0}).invoke("red")
