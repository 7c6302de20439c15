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
    from trawl.search.candidates import (
        LEFT_TO_CALLER,
        Candidate,
        Candidates,
        Liked,
        Question,
        listed,
    )
    from trawl.search.gathered import Gathered
    from trawl.search.request import MAX_QUERY_CHARACTERS, Like, QueryPart, SearchRequest
    from trawl.search.searcher import Searcher, spaces_of
    from trawl.search.union import SEPARATOR, Union, qualified

_MODULES = {
    "Candidate": "candidates",
    "Candidates": "candidates",
    "Gathered": "gathered",
    "LEFT_TO_CALLER": "candidates",
    "Like": "request",
    "Liked": "candidates",
    "Question": "candidates",
    "SEPARATOR": "union",
    "listed": "candidates",
    "qualified": "union",
    "spaces_of": "searcher",
    "MAX_QUERY_CHARACTERS": "request",
    "QueryPart": "request",
    "SearchRequest": "request",
    "Searcher": "searcher",
    "Union": "union",
    "browse": "browsing",
    "normalised": "caches",
}

__all__ = [
    "LEFT_TO_CALLER",
    "MAX_QUERY_CHARACTERS",
    "MAX_RESULTS",
    "SEPARATOR",
    "Candidate",
    "Candidates",
    "Gathered",
    "Like",
    "Liked",
    "QueryPart",
    "Question",
    "SearchKeywords",
    "SearchOptions",
    "SearchRequest",
    "Searcher",
    "Union",
    "browse",
    "listed",
    "normalised",
    "qualified",
    "search_options",
    "spaces_of",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"trawl.search.{_MODULES[name]}"), name)
