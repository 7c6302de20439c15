"""Parse filters: ``year >= 2020 and source in ('arXiv', 'CERN')``.

`filter.lark` is the grammar. The parser keeps a stack of its own, and the depth of a
filter is bounded, so no input reaches Python's recursion limit.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from trawl.errors import FilterError, UsageError
from trawl.query.grammar import parser
from trawl.query.places import Line, Place, Spot, place_of
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

if TYPE_CHECKING:
    from lark import Token, UnexpectedToken

MAX_LENGTH = 2_000
MAX_DEPTH = 20

_OPERATORS: dict[str, Operator] = {
    "=": "=",
    "==": "=",
    "!=": "!=",
    "<>": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_FLIPPED: dict[Operator, Operator] = {
    "=": "=",
    "!=": "!=",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}
_KEY_PART = re.compile(r'"((?:""|[^"])*)"|([^\s."]+)')
_INTEGER = re.compile(r"[0-9]+")
_REAL = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_ENDS: tuple[Operator, Operator] = (">=", "<=")

_MINUS = (
    "a minus stands before a number only: there is no arithmetic, and a key with - in it "
    'stands in double quotes: "pub-date"'
)
_IN = "in is followed by values in parentheses: key in (1, 2)"
_TEXT = "text in single quotes is expected here"


def parse_filter(text: str) -> Filter:
    """Parse a filter such as ``year >= 2020 and source in ('arXiv', 'CERN')``.

    Text stands in single quotes (``''`` is one quote), dates are ``'2024-05-01'`` or
    ``date '2024-05-01'``, a key with other characters than letters, digits and ``_``
    stands in double quotes, and ``a.b`` is the key "a.b". Keywords are read in any case,
    keys are not. ``not`` is the complement: documents that lack the key match
    ``not (x = 1)`` and ``x not in (1)``, but no comparison, ``x != 1`` included.

    Raises `FilterError`, which points at the place, for anything else, for more than
    `MAX_LENGTH` characters, and for parentheses or ``not`` deeper than `MAX_DEPTH`.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"the filter has {len(text):,} characters; the maximum is {MAX_LENGTH:,}")
    if not text.strip():
        raise FilterError("the filter is empty; write one such as: year >= 2020")
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise FilterError("the filter is not valid Unicode: it contains a lone surrogate")
    line = Line(text, "filter")
    try:
        tree = parser("filter", lexer="basic", postlex=_DEPTH_LIMIT).parse(text)
    except UnexpectedCharacters as error:
        raise _unexpected_character(line, error.column - 1) from None
    except UnexpectedToken as error:
        raise _unexpected_token(line, error) from None
    except _TooDeepError as error:
        raise line.error(
            error.place, f"parentheses and not are nested deeper than {MAX_DEPTH}"
        ) from None
    return _Builder(line).filter(tree)


class _TooDeepError(Exception):
    def __init__(self, token: Token) -> None:
        self.place = place_of(token)


class _DepthLimit:
    """Bound the nesting of parentheses and ``not`` before the parser sees the tokens."""

    always_accept = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        tokens = list(stream)
        depth, nots = 0, 0
        outer: list[int] = []
        for token in tokens:
            if token.type == "NOT":
                nots += 1
            elif token.type == "LPAR":
                outer.append(depth)
                depth, nots = depth + nots + 1, 0
            else:
                nots = 0
                if token.type == "RPAR" and outer:
                    depth = outer.pop()
            if depth + nots > MAX_DEPTH:
                raise _TooDeepError(token)
        return iter(tokens)


_DEPTH_LIMIT = _DepthLimit()


def _unexpected_character(line: Line, start: int) -> UsageError:
    place = Place(start, start + 1)
    match line.text[start]:
        case "'" | '"':
            return line.error(place, "this quote is not closed")
        case "-" | "/" if line.text.startswith(("--", "/*"), start):
            return line.error(Place(start, start + 2), "comments are not allowed")
        case "-":
            return line.error(place, _MINUS)
        case _:
            return line.error(place, f"{line.quoted(place)} is not allowed")


def _unexpected_token(line: Line, error: UnexpectedToken) -> UsageError:
    from lark import Token

    token, expected = error.token, error.accepts or error.expected
    stack = error.interactive_parser.parser_state.value_stack
    before = stack[-1] if stack else None
    opened = [node for node in stack if isinstance(node, Token) and node.type == "LPAR"]
    # The end token has the place of the last token.
    place, quoted = place_of(token), line.quoted(place_of(token))
    after_key = isinstance(before, Token) and before.type == "KEY"
    if "OPERATOR" in expected and token.type in ("$END", "_AND", "_OR", "RPAR"):
        operand = place_of(before)
        return line.error(operand, f"{line.quoted(operand)} alone is no condition; compare it")
    if token.type == "$END":
        if opened:
            return line.error(place_of(opened[-1]), "this parenthesis is not closed")
        return line.error(place, f"the filter breaks off after {quoted}")
    if token.type == "RPAR":
        if not opened:
            return line.error(place, "this parenthesis closes nothing")
        if before is opened[-1]:
            empty = Place(place_of(before).start, place.end)
            return line.error(empty, "nothing stands between these parentheses")
    if token.type == "LPAR" and after_key:
        called = place_of(before)
        return line.error(called, f"there is no function {line.quoted(called)}")
    if token.type == "STRING" and after_key:
        return line.error(place, f"text is not expected after {line.quoted(place_of(before))}")
    if token.type == "NUMBER" and token.startswith("-"):
        return line.error(Place(place.start, place.start + 1), _MINUS)
    if expected == {"STRING"}:
        return line.error(place, _TEXT)
    if expected == {"NULL", "NOT"} or expected == {"NULL"}:
        return line.error(place, "only null follows is; write x = true for x is true")
    if expected == {"LPAR", "KEY"}:
        return line.error(place, _IN)
    problem = f"{quoted} is not expected here"
    if "KEY" in expected and token.isidentifier():
        problem += "; a key of that name stands in double quotes"
    return line.error(place, problem)


class _Builder:
    """Turns lark's tree into the tree of a filter; it recurses at most `MAX_DEPTH` deep."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def filter(self, node: Any) -> Filter:
        match node.data, node.children:
            case "disjunction", parts:
                return Or(tuple(self.filter(part) for part in parts))
            case "conjunction", parts:
                return And(tuple(self.filter(part) for part in parts))
            case "complement", [_, part]:
                inner = self.filter(part)
                return inner.part if isinstance(inner, Not) else Not(inner)
            case "comparison", [left, sign, right]:
                return self._comparison(place_of(node), left, _OPERATORS[sign], right)
            case "missing", [key, negated, _]:
                exists = Exists(self._key(key), self._spot(key))
                return exists if negated else Not(exists)
            case "contains_call", [key, text]:
                return self._contains(key, text)
            case kind, [left, negated, *rest]:
                condition = self._negatable(kind, left, rest)
                return Not(condition) if negated else condition
        raise AssertionError(node)

    def _negatable(self, kind: str, left: Token, rest: list[Token]) -> Filter:
        match kind:
            case "membership":
                values = tuple(map(self._value, rest))
                return OneOf(self._key(left), values, self._spot(left, *rest))
            case "item" if left.type == "KEY":
                raise self.line.error(place_of(rest[0]), _IN)
            case "item":
                return self._contains(rest[0], left)
            case "interval":
                low, high = (
                    Comparison(self._key(left), op, self._value(end), self._spot(left, end))
                    for op, end in zip(_ENDS, rest, strict=True)
                )
                return And((low, high))
            case "pattern":
                return self._contains(left, rest[0], self._pattern(rest[0]))
            case _:
                return self._contains(left, rest[0])

    def _comparison(self, place: Place, left: Token, op: Operator, right: Token) -> Filter:
        if "NULL" in (left.type, right.type):
            raise self.line.error(place, "null equals nothing; write is null or is not null")
        if left.type != "KEY":
            if right.type != "KEY":
                raise self.line.error(place, "a comparison needs a key: key = value")
            left, op, right = right, _FLIPPED[op], left
        return Comparison(self._key(left), op, self._value(right), self._spot(left, right))

    def _contains(self, key: Token, value: Token, text: str | None = None) -> Filter:
        text = self._text(value) if text is None else text
        return Contains(self._key(key), text, spot=self._spot(key, value))

    def _spot(self, key: Token, *values: Token) -> Spot:
        return Spot(self.line, place_of(key), tuple(map(place_of, values)))

    def _key(self, token: Token) -> str:
        place = place_of(token)
        if token.type != "KEY":
            raise self.line.error(place, f"a key is expected here, not {self.line.quoted(place)}")
        names = []
        for part in _KEY_PART.finditer(token):
            if part[2] and not part[2].isidentifier():
                raise self.line.error(place, f"{self.line.quoted(place)} is not allowed")
            names.append(part[2] or part[1].replace('""', '"'))
        return ".".join(names)

    def _value(self, token: Token) -> Scalar:
        place = place_of(token)
        match token.type:
            case "STRING":
                return self._text(token)
            case "NUMBER":
                return self._number(token, place)
            case "DATE":
                return self._date(token)
            case "TRUE" | "FALSE":
                return token.type == "TRUE"
            case "NULL":
                raise self.line.error(place, "null is no value here; write is null")
            case _:
                name = self._key(token).replace("'", "''")
                raise self.line.error(
                    place, f"a value is expected here; text stands in single quotes: '{name}'"
                )

    def _number(self, token: Token, place: Place) -> int | float:
        digits = token.lstrip("-").lstrip()
        sign = -1 if token.startswith("-") else 1
        if _INTEGER.fullmatch(digits):
            return sign * int(digits)
        if _REAL.fullmatch(digits):
            return sign * float(digits)
        raise self.line.error(place, f"{self.line.quoted(place)} is not a number")

    def _date(self, token: Token) -> datetime.date:
        start = token.index("'")
        try:
            return datetime.date.fromisoformat(token[start + 1 : -1])
        except ValueError:
            place = Place(place_of(token).start + start, place_of(token).end)
            raise self.line.error(place, "this is no date; write it as date '2024-05-01'") from None

    def _text(self, token: Token) -> str:
        if token.type != "STRING":
            raise self.line.error(place_of(token), _TEXT)
        return token[1:-1].replace("''", "'")

    def _pattern(self, token: Token) -> str:
        """Return the word of `like '%word%'`; the tree has no node for other patterns."""
        pattern = self._text(token)
        word = pattern[1:-1]
        if len(pattern) < 3 or {pattern[0], pattern[-1]} != {"%"} or set(word) & set("%_"):
            raise self.line.error(
                place_of(token),
                "like takes '%word%' only; for a word with % or _ in it, use contains 'word'",
            )
        return word
