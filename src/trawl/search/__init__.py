"""Searching: from a request to an answer."""

from trawl.search.caches import normalised
from trawl.search.options import MAX_RESULTS, SearchKeywords, SearchOptions, search_options
from trawl.search.request import MAX_QUERY_CHARACTERS, Like, QueryPart, SearchRequest
from trawl.search.rerank import Reranker, rerank
from trawl.search.searcher import Gathered, Searcher

__all__ = [
    "MAX_QUERY_CHARACTERS",
    "MAX_RESULTS",
    "Gathered",
    "Like",
    "QueryPart",
    "Reranker",
    "SearchKeywords",
    "SearchOptions",
    "SearchRequest",
    "Searcher",
    "normalised",
    "rerank",
    "search_options",
]
