"""Queries and filters: read from a line of text, bound to columns, written as SQL."""

from trawl.query.filters import (
    And,
    Comparison,
    Contains,
    Exists,
    Filter,
    Not,
    OneOf,
    Or,
    bind,
    matches,
    parse_filter,
)
from trawl.query.language import MAX_QUERY_LENGTH, MAX_TERMS, parse_query
from trawl.query.language_format import format_query
from trawl.query.language_parts import ParsedQuery, Term
from trawl.query.predicate import to_sql
from trawl.query.tree import Untyped

__all__ = [
    "MAX_QUERY_LENGTH",
    "MAX_TERMS",
    "And",
    "Comparison",
    "Contains",
    "Exists",
    "Filter",
    "Not",
    "OneOf",
    "Or",
    "ParsedQuery",
    "Term",
    "Untyped",
    "bind",
    "format_query",
    "matches",
    "parse_filter",
    "parse_query",
    "to_sql",
]
