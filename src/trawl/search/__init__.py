"""Searching: from a request to an answer."""

from trawl.search.caches import normalised
from trawl.search.request import MAX_QUERY_CHARACTERS, MAX_RESULTS, Like, QueryPart, SearchRequest
from trawl.search.rerank import Reranker, rerank
from trawl.search.searcher import Gathered, Searcher

__all__ = [
    "MAX_QUERY_CHARACTERS",
    "MAX_RESULTS",
    "Gathered",
    "Like",
    "QueryPart",
    "Reranker",
    "SearchRequest",
    "Searcher",
    "normalised",
    "rerank",
]
