"""Searching: from a request to an answer.

The names that need the store are loaded when they are first used, so that
`trawl search --help` reads the options without them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trawl.search.options import MAX_RESULTS, SearchKeywords, SearchOptions, search_options

if TYPE_CHECKING:
    from trawl.search.browsing import browse
    from trawl.search.caches import normalised
    from trawl.search.request import MAX_QUERY_CHARACTERS, Like, QueryPart, SearchRequest
    from trawl.search.searcher import Gathered, Searcher

_MODULES = {
    "Gathered": "searcher",
    "Like": "request",
    "MAX_QUERY_CHARACTERS": "request",
    "QueryPart": "request",
    "SearchRequest": "request",
    "Searcher": "searcher",
    "browse": "browsing",
    "normalised": "caches",
}

__all__ = [
    "MAX_QUERY_CHARACTERS",
    "MAX_RESULTS",
    "Gathered",
    "Like",
    "QueryPart",
    "SearchKeywords",
    "SearchOptions",
    "SearchRequest",
    "Searcher",
    "browse",
    "normalised",
    "search_options",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"trawl.search.{_MODULES[name]}"), name)
