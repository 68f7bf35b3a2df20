"""The table of errors."""

from __future__ import annotations

import inspect

from cluster.reference.markdown import table
from deployments.errors import ERRORS, INTERNAL, HttpError


def page() -> str:
    rows = [(*_row(error), inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]) for kind, error in ERRORS.items()]
    rows.append((*_row(INTERNAL), "A bug. The answer says no more; the server's log does."))
    return f"""# Errors

Every answer that is an error has this body, and the status of the table.

```json
{{"error": {{"message": "…", "type": "…", "param": "top_k", "code": "…"}}}}
```

`code` is for machines and stays. An error may have a finer code than its row's, such as `image_corrupt` or
`collection_not_found`. `param` names the field at fault. 429 and 503 carry `Retry-After`.

{table(("status", "code", "type", "what"), sorted(rows))}
"""


def _row(error: HttpError) -> tuple[str, str, str]:
    return str(error.status), f"`{error.code}`", f"`{error.type}`"
