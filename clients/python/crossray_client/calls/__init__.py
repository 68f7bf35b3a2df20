"""The API's calls as values: what to send, and how to read the answer. Nothing here does I/O but reading an image's
file for a JSON body.

Nearly every call may be sent again. Searches, embeddings, matches, reranks and lookups change nothing. A store is
idempotent by the item's id, which is its content's hash where none is given: a repeat finds the item there. A job is,
by its id. A delete is, but for its answer, which `if_gone` mends. Making a collection and beginning a build are not:
they are sent again only where they cannot have arrived. `health`, `alive` and `status` ask how things are now, and
are never repeated.
"""

from crossray_client.calls.call import Call
from crossray_client.calls.collection_calls import (
    collection,
    collections,
    create_collection,
    delete_collection,
    drop_version,
    promote,
    reindex,
)
from crossray_client.calls.item_calls import (
    delete,
    get,
    image,
    lookup,
    page,
    store,
    store_batch,
    thumbnail,
)
from crossray_client.calls.job_calls import (
    cancel_job,
    create_job,
    job,
    job_items,
    jobs,
    retry_job,
    upload_job,
)
from crossray_client.calls.search_calls import (
    search,
)
from crossray_client.calls.status_calls import (
    alive,
    health,
    models,
    status,
)
from crossray_client.calls.vector_calls import (
    embed,
    match,
    rerank,
)

__all__ = [
    "Call",
    "alive",
    "cancel_job",
    "collection",
    "collections",
    "create_collection",
    "create_job",
    "delete",
    "delete_collection",
    "drop_version",
    "embed",
    "get",
    "health",
    "image",
    "job",
    "job_items",
    "jobs",
    "lookup",
    "match",
    "models",
    "page",
    "promote",
    "reindex",
    "rerank",
    "retry_job",
    "search",
    "status",
    "store",
    "store_batch",
    "thumbnail",
    "upload_job",
]
