"""The allowed tree of a filter: what a ``where`` can say, and nothing else.

Two-valued logic: every node is true or false of a document, never unknown. A
comparison is false of a document that lacks the key, ``!=`` too; ``Not`` is the
complement of its part, so ``not (x = 1)`` is true of a document without ``x``.
``bind`` (names and types), ``matches`` (Python) and ``to_sql`` (the store) all
keep to this, and a property test holds the last two together.

A condition that was read from a line has a `spot`, where it stands there; it is no part
of what the condition says.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from trawl.query.places import Spot

Scalar: TypeAlias = str | int | float | bool | datetime.date
"""What a key is compared with."""

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`key op value`; text is ordered by code point, and truth values by nothing."""

    key: str
    op: Operator
    value: Scalar
    spot: Spot | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class OneOf:
    """The key's value equals one of `values`."""

    key: str
    values: tuple[Scalar, ...]
    spot: Spot | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Contains:
    """Text holds `value` as a substring, or a list of text as an item; case counts.

    `item` says which, and is settled by `bind`, which knows the column's type.
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
    """`key op text` as a line of search has it: `bind` reads the text as the column's type.

    ``=`` asks a list of text for an item; ``contains`` asks text for a substring.
    """

    key: str
    op: Operator | Literal["contains"]
    text: str
    spot: Spot | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class And:
    """All parts are true; of no parts, true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part is true; of no parts, false."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The complement of `part`: documents without its keys are in it."""

    part: Filter


Filter: TypeAlias = Comparison | OneOf | Contains | Exists | Untyped | And | Or | Not
