"""From a line of text to the allowed tree of a filter.

sqlglot reads the line. Before it does, the words are checked one by one
(`trawl.query.words`); after it, each node is translated here or refused, and every
key and value of the line must have been translated once.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from trawl.errors import FilterError
from trawl.query.places import Line, Place, Spot
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
from trawl.query.words import is_operator, read_words

if TYPE_CHECKING:
    from sqlglot import exp

MAX_LENGTH = 2_000

_FLIPPED: dict[Operator, Operator] = {
    "=": "=",
    "!=": "!=",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}


def parse_filter(text: str) -> Filter:
    """Read a filter such as ``year >= 2020 and source in ('arXiv', 'CERN')``.

    Text stands in single quotes (``''`` is one quote), dates are ``'2024-05-01'`` or
    ``date '2024-05-01'``, a key with other signs than letters, digits and ``_``
    stands in double quotes, and ``a.b`` is the key "a.b". Words are read in any case,
    keys are not. ``not`` is the complement: documents that lack the key match
    ``not (x = 1)`` and ``x not in (1)``, but no comparison, ``x != 1`` included.

    Raises `FilterError`, which shows the place, for anything else, for more than
    `MAX_LENGTH` characters, and for parentheses or ``not`` deeper than `MAX_DEPTH`.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(
            f"the filter has {len(text):,} characters; at most {MAX_LENGTH:,} are read"
        )
    if not text.strip():
        raise FilterError("the filter is empty; write one such as: year >= 2020")
    from sqlglot.errors import ParseError
    from sqlglot.parser import Parser
    from sqlglot.tokens import TokenType

    line = Line(text)
    words = read_words(line)
    try:
        found = Parser().parse(words, text)
    except ParseError as error:
        raise _parse_error(line, error) from None
    except RecursionError:
        raise line.error(line.whole, "this is nested too deep to read here") from None
    if len(found) != 1 or found[0] is None:
        raise line.error(line.whole, "this is not one filter")
    reader = _Reader(line)
    tree = reader.filter(found[0], line.whole)
    leaves = (TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER)
    if reader.leaves != sum(word.token_type in leaves for word in words):
        raise line.error(
            line.whole,
            "this is not one filter; a key that is a word of filters stands in double quotes",
        )
    return tree


def _parse_error(line: Line, error: Exception) -> FilterError:
    """sqlglot's place in our words; its own speak of its classes."""
    first = error.errors[0]  # type: ignore[attr-defined]
    lines = line.text.split("\n")
    end = sum(len(each) + 1 for each in lines[: first["line"] - 1]) + first["col"]
    place = Place(max(0, end - len(first["highlight"] or " ")), end)
    if is_operator(first["highlight"] or "") and not line.text[end:].strip():
        return line.error(place, f"the filter breaks off after {line.quoted(place)}")
    return line.error(place, f"{line.quoted(place)} is not expected here")


class _Reader:
    """Translates sqlglot's nodes; `leaves` counts the keys' parts and the values taken."""

    def __init__(self, line: Line) -> None:
        from sqlglot import exp

        self.line = line
        self.leaves = 0
        self.operators: dict[type[exp.Expression], Operator] = {
            exp.EQ: "=",
            exp.NEQ: "!=",
            exp.LT: "<",
            exp.LTE: "<=",
            exp.GT: ">",
            exp.GTE: ">=",
        }

    def filter(self, node: exp.Expression, within: Place) -> Filter:
        """The tree of a condition that stands somewhere in `within`."""
        from sqlglot import exp

        place = self._place(node, within)
        match node:
            case exp.Paren():
                return self.filter(node.this, place)
            case exp.And():
                return And(self._chain(node, exp.And, place))
            case exp.Or():
                return Or(self._chain(node, exp.Or, place))
            case exp.Not():
                part = self.filter(node.this, place)
                # `x is not null` comes as not (x is null), and that as not exists.
                return part.part if isinstance(part, Not) else Not(part)
            case _ if type(node) in self.operators:
                return self._comparison(node, place)
            case exp.In():
                return self._membership(node, place)
            case exp.Between():
                key = self._key(node.this, place)
                ends = [node.args[end] for end in ("low", "high")]
                low, high = (self._value(end, place) for end in ends)
                spots = [self._spot(node.this, place, end) for end in ends]
                return And(
                    (Comparison(key, ">=", low, spots[0]), Comparison(key, "<=", high, spots[1]))
                )
            case exp.Is() if isinstance(node.expression, exp.Null):
                return Not(Exists(self._key(node.this, place), self._spot(node.this, place)))
            case exp.Is():
                raise self.line.error(place, "only null follows is; write x = true for x is true")
            case exp.Like():
                found = self._contains(
                    node.this, node.expression, self._pattern(node, place), place
                )
                return Not(found) if node.args.get("negate") else found
            case exp.Contains() | exp.ArrayContainsAll():
                text = self._text(node.expression, place)
                return self._contains(node.this, node.expression, text, place)
            case exp.Alias():
                extra = self._place(node.args["alias"], place)
                raise self.line.error(extra, f"{self.line.quoted(extra)} is not expected here")
            case exp.Column() | exp.Dot() | exp.Literal() | exp.Boolean() | exp.Null():
                quoted = self.line.quoted(place)
                raise self.line.error(place, f"{quoted} alone is no condition; compare it")
            case _:
                raise self.line.error(place, f"{self.line.quoted(place)} is not a condition")

    def _chain(
        self, node: exp.Expression, kind: type[exp.Expression], within: Place
    ) -> tuple[Filter, ...]:
        """The parts of `a and b and c`, which the grammar nests to the left, without recursion."""
        parts: list[exp.Expression] = []
        while isinstance(node, kind):
            parts.append(node.expression)
            node = node.this
        parts.append(node)
        return tuple(self.filter(part, within) for part in reversed(parts))

    def _comparison(self, node: exp.Expression, place: Place) -> Filter:
        from sqlglot import exp

        op = self.operators[type(node)]
        left, right = node.this.unnest(), node.expression.unnest()
        if isinstance(left, exp.Null) or isinstance(right, exp.Null):
            raise self.line.error(place, "null equals nothing; write is null or is not null")
        if self._is_key(left):
            return self._compared(left, op, right, place)
        if self._is_key(right):
            return self._compared(right, _FLIPPED[op], left, place)
        raise self.line.error(place, "a comparison needs a key: key = value")

    def _membership(self, node: exp.Expression, place: Place) -> Filter:
        """`key in (1, 2)`, or `'item' in key`."""
        field = node.args.get("field")
        if field is not None and self._is_key(field) and not self._is_key(node.this):
            return self._contains(field, node.this, self._text(node.this, place), place)
        if field is not None or not node.expressions:
            raise self.line.error(place, "in is followed by values in parentheses: key in (1, 2)")
        key = self._key(node.this, place)
        values = tuple(self._value(value, place) for value in node.expressions)
        return OneOf(key, values, self._spot(node.this, place, *node.expressions))

    def _compared(
        self, key: exp.Expression, op: Operator, value: exp.Expression, place: Place
    ) -> Filter:
        spot = self._spot(key, place, value)
        return Comparison(self._key(key, place), op, self._value(value, place), spot)

    def _contains(
        self, key: exp.Expression, value: exp.Expression, text: str, place: Place
    ) -> Contains:
        return Contains(self._key(key, place), text, spot=self._spot(key, place, value))

    def _spot(self, key: exp.Expression, within: Place, *values: exp.Expression) -> Spot:
        """Where a condition's key and values stand."""
        places = tuple(self._place(value, within) for value in values)
        return Spot(self.line, "filter", self._place(key, within), places)

    def _is_key(self, node: exp.Expression) -> bool:
        from sqlglot import exp

        return isinstance(node.unnest(), exp.Column | exp.Dot)

    def _key(self, node: exp.Expression, within: Place) -> str:
        """The key's name; the grammar reads the dots of `a.b.c` as table, column and so on."""
        from sqlglot import exp

        node = node.unnest()
        place = self._place(node, within)
        parts = list(node.parts) if self._is_key(node) else []
        if not parts or not all(isinstance(part, exp.Identifier) for part in parts):
            raise self.line.error(place, f"a key is expected here, not {self.line.quoted(place)}")
        self.leaves += len(parts)
        return ".".join(part.name for part in parts)

    def _value(self, node: exp.Expression, within: Place) -> Scalar:
        from sqlglot import exp

        node = node.unnest()
        place = self._place(node, within)
        match node:
            case exp.Literal() if node.is_string:
                return self._text(node, within)
            case exp.Literal():
                return self._number(node, place)
            case exp.Neg() if isinstance(node.this, exp.Literal) and not node.this.is_string:
                return -self._number(node.this, place)
            case exp.Boolean():
                return bool(node.this)
            case exp.Cast():
                try:
                    return datetime.date.fromisoformat(self._text(node.this, place))
                except ValueError:
                    raise self.line.error(
                        place, "this is no date; write it as date '2024-05-01'"
                    ) from None
            case exp.Null():
                raise self.line.error(place, "null is no value here; write is null")
            case exp.Column() | exp.Dot():
                name = self._key(node, within).replace("'", "''")
                raise self.line.error(
                    place, f"a value is expected here; text stands in single quotes: '{name}'"
                )
            case _:
                quoted = self.line.quoted(place)
                raise self.line.error(place, f"a value is expected here, not {quoted}")

    def _number(self, node: exp.Expression, place: Place) -> int | float:
        digits = str(node.this)
        try:
            number = int(digits) if digits.isdecimal() else float(digits)
        except ValueError:
            raise self.line.error(place, f"{self.line.quoted(place)} is not a number") from None
        self.leaves += 1
        return number

    def _text(self, node: exp.Expression, within: Place) -> str:
        from sqlglot import exp

        if not isinstance(node, exp.Literal) or not node.is_string:
            place = self._place(node, within)
            raise self.line.error(place, "text in single quotes is expected here")
        self.leaves += 1
        return str(node.this)

    def _pattern(self, node: exp.Expression, within: Place) -> str:
        """The word of `like '%word%'`: other patterns have no node in the tree."""
        pattern = self._text(node.expression, within)
        inner = pattern[1:-1]
        if len(pattern) < 3 or pattern[0] != "%" or pattern[-1] != "%" or set(inner) & set("%_"):
            raise self.line.error(
                self._place(node.expression, within),
                "like takes '%word%' only; a word with % or _ in it goes into contains 'word'",
            )
        return inner

    def _place(self, node: exp.Expression, within: Place) -> Place:
        """From the first to the last part of a node that knows its place, else `within`."""
        known = [part.meta for part in node.walk() if "start" in part.meta]
        if not known:
            return within
        return Place(min(each["start"] for each in known), max(each["end"] for each in known) + 1)
