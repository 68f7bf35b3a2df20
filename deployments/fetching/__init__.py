"""Fetching what a stranger's URL names, without being made to ask our own network (server-side request forgery).

`urls` says which URLs may be asked at all, `addresses` which addresses a name may stand for, `fetcher` asks. The name
is resolved once, every address that it has is checked, and the connection goes to one of those very addresses.
"""

from deployments.fetching.fetcher import Fetcher, FetchLimits

__all__ = ["FetchLimits", "Fetcher"]
