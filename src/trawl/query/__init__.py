"""Queries and filters: parsed from text, bound to columns, written as SQL.

`parse_query` parses a line of the query language and `parse_filter` a filter. `bind`
checks a filter against a library's columns; `to_sql` writes it for the store, from the
tree alone, so that no text of a user reaches SQL.
"""

from trawl.query.bind import bind, matches
from trawl.query.clauses import MediaPart, ParsedQuery, Term
from trawl.query.filter import parse_filter
from trawl.query.line import MAX_QUERY_LENGTH, MAX_TERMS, parse_query
from trawl.query.sql import to_sql
from trawl.query.tree import (
    And,
    Comparison,
    Contains,
    Exists,
    Filter,
    Not,
    OneOf,
    Or,
    Scalar,
    Untyped,
)

__all__ = [
    "MAX_QUERY_LENGTH",
    "MAX_TERMS",
    "And",
    "Comparison",
    "Contains",
    "Exists",
    "Filter",
    "MediaPart",
    "Not",
    "OneOf",
    "Or",
    "ParsedQuery",
    "Scalar",
    "Term",
    "Untyped",
    "bind",
    "matches",
    "parse_filter",
    "parse_query",
    "to_sql",
]
