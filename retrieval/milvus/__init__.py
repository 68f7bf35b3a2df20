"""An index in Milvus: a Milvus Lite file of one process, or a server that many share."""

from retrieval.milvus.index import MilvusIndex

__all__ = ["MilvusIndex"]
