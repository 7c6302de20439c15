"""Searching: from a request to an answer."""

from trawl.search.request import MAX_QUERY_CHARACTERS, MAX_RESULTS, Like, QueryPart, SearchRequest
from trawl.search.searcher import Searcher

__all__ = ["MAX_QUERY_CHARACTERS", "MAX_RESULTS", "Like", "QueryPart", "SearchRequest", "Searcher"]
