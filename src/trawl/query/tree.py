"""The nodes of a filter.

The logic is two-valued: every node is true or false for a document, never unknown. A
comparison, including ``!=``, is false for a document that lacks the key. ``Not`` is the
complement of its part, so ``not (x = 1)`` is true for a document without ``x``.
``bind`` (names and types), ``matches`` (Python) and ``to_sql`` (the store) implement
this, and a property test compares the last two.

A condition that was parsed from text has a `spot`, its place in the text. It does not
take part in comparisons.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from trawl.query.places import Spot

Scalar: TypeAlias = str | int | float | bool | datetime.date
"""A value that a key is compared with."""

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`key op value`. Text is ordered by code point; booleans have no order.

    With `numeric`, which `bind` sets, text is compared as a number; other text does not match.
    """

    key: str
    op: Operator
    value: Scalar
    spot: Spot | None = field(default=None, compare=False, repr=False)
    numeric: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class OneOf:
    """The key's value equals one of `values`."""

    key: str
    values: tuple[Scalar, ...]
    spot: Spot | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Contains:
    """Text has the substring `value`, or a list of text has the item; case-sensitive.

    `bind`, which knows the column's type, sets `item`.
    """

    key: str
    value: str
    item: bool = False
    spot: Spot | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Exists:
    """The document has the key."""

    key: str
    spot: Spot | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Untyped:
    """`key op text` as in a query line; `bind` parses the text as the column's type.

    On a list of text, ``=`` matches an item. ``contains`` matches a substring of text.
    """

    key: str
    op: Operator | Literal["contains"]
    text: str
    spot: Spot | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class And:
    """All parts are true; true for no parts."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part is true; false for no parts."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The complement of `part`; it includes documents without the keys."""

    part: Filter


Filter: TypeAlias = Comparison | OneOf | Contains | Exists | Untyped | And | Or | Not
