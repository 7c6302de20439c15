"""Filters on metadata: ``year >= 2020 and source in ('arXiv', 'CERN')``.

A filter is read to a tree of allowed nodes (`parse_filter`), checked against the
library's columns (`bind`), and then asked of one document in Python (`matches`)
or of the store (`trawl.query.predicate.to_sql`). No text of a user reaches SQL.
"""

from trawl.query.binding import bind, matches
from trawl.query.syntax import MAX_LENGTH, parse_filter
from trawl.query.tree import (
    And,
    Comparison,
    Contains,
    Exists,
    Filter,
    Not,
    OneOf,
    Operator,
    Or,
    Scalar,
)
from trawl.query.words import MAX_DEPTH

__all__ = [
    "MAX_DEPTH",
    "MAX_LENGTH",
    "And",
    "Comparison",
    "Contains",
    "Exists",
    "Filter",
    "Not",
    "OneOf",
    "Operator",
    "Or",
    "Scalar",
    "bind",
    "matches",
    "parse_filter",
]
