"""Answer the usual requests of `GET /search` at a third of the cost of FastAPI's route.

What is unusual (a parameter that is invalid, unknown or repeated, a client without the scope) is
left to the route in `search.py`, which describes the interface and its errors.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, cast, get_args
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from trawl.search import SearchOptions, normalised, search_options
from trawl.server.auth import has_scope
from trawl.server.proxy import route_path
from trawl.server.routes.search import Wanted, respond
from trawl.server.service import SearchQuery, Service, Shape, root_path

_PARAMETERS = frozenset({"query", "modality", "top_k", "use_cache"})
_WANTED = frozenset(get_args(Wanted))
_TOP_K = re.compile("[1-9][0-9]?|100")
_TRUTH = {"true": True, "false": False}
_LONGEST = 500


class _Asked(NamedTuple):
    query: str
    options: SearchOptions
    use_cache: bool


class QuickSearch(BaseRoute):
    """The route of usual searches, before FastAPI's routes."""

    path = "/search"

    def __init__(self, service: Service) -> None:
        self._service = service

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request whose parameters are all valid, of a client that may search."""
        if scope["type"] != "http" or scope["method"] != "GET" or route_path(scope) != self.path:
            return Match.NONE, {}
        asked = _asked(scope["query_string"])
        if asked is None or not has_scope(Request(scope), "read"):
            return Match.NONE, {}
        return Match.FULL, {"route": self, "asked": asked}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Search and respond. Raises what `Service.search` raises."""
        asked: _Asked = scope["asked"]
        query = SearchQuery(normalised(asked.query), options=asked.options)
        shape = Shape(detailed=False, root_path=root_path(Request(scope)))
        found = await self._service.search(query, shape, use_cache=asked.use_cache)
        await respond(asked.query, found)(scope, receive, send)


def _asked(query_string: bytes) -> _Asked | None:
    """Return the parameters of a search, or None if they are not the usual ones."""
    given = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    asked = dict(given)
    if len(asked) < len(given) or not asked.keys() <= _PARAMETERS:
        return None
    query, wanted = asked.get("query", ""), asked.get("modality", "all")
    top_k, use_cache = asked.get("top_k", "10"), _TRUTH.get(asked.get("use_cache", "true"))
    is_valid = 0 < len(query) <= _LONGEST and wanted in _WANTED and _TOP_K.fullmatch(top_k)
    if not is_valid or use_cache is None:
        return None
    return _Asked(query, _options(cast(Wanted, wanted), int(top_k)), use_cache)


@lru_cache(maxsize=len(_WANTED) * 100)
def _options(wanted: Wanted, limit: int) -> SearchOptions:
    return search_options(modality=None if wanted == "all" else wanted, limit=limit)
