"""The words of a filter's line, each allowed or refused before any grammar sees it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from trawl.query.places import Line, Place

if TYPE_CHECKING:
    from sqlglot.tokens import Token

# sqlglot takes about 20 frames of Python's 1,000 for a pair of parentheses.
MAX_DEPTH = 20

_SYMBOLS = {"(", ")", ",", ".", "-", "=", "==", "!=", "<>", "<", "<=", ">", ">="}
_OPERATORS = {"and", "or", "not", "in", "between", "like", "is"}
_VALUES = {"null", "true", "false"}


def read_words(line: Line) -> list[Token]:
    """Tokens that hold nothing but a filter's words; every other word is made a key.

    So ``order``, ``select`` and ``case`` are keys, and no statement, function or
    comment of SQL is left. Raises `FilterError` at the first word that is refused.
    """
    from sqlglot.errors import TokenError
    from sqlglot.tokens import Tokenizer, TokenType

    _check_quotes(line)
    try:
        tokens: list[Token] = Tokenizer().tokenize(line.text)
    except TokenError:
        raise line.error(line.whole, "this cannot be read") from None
    for before, token, after in _neighbours(tokens):
        place = place_of(token)
        if token.comments:
            raise line.error(Place(place.end, place.end + 1), "comments are not allowed")
        word = token.text.lower()
        if token.token_type in (TokenType.STRING, TokenType.NUMBER, TokenType.IDENTIFIER):
            _check_gap(line, token, after)
        elif word == "-":
            _check_sign(line, before, token, after)
        elif word in _SYMBOLS | _OPERATORS | _VALUES:
            continue
        elif not token.text.isidentifier():
            raise line.error(place, f"{line.quoted(place)} is not allowed")
        else:
            token.token_type = _part_of(line, before, token, after)
    _check_depth(line, tokens)
    return tokens


def is_operator(word: str) -> bool:
    """Whether something must follow `word`, which is one token of a line."""
    return word.lower() in _SYMBOLS - {")"} | _OPERATORS


def place_of(token: Token) -> Place:
    """Where a token stands; sqlglot's `end` is its last character."""
    return Place(token.start, token.end + 1)


def _neighbours(tokens: list[Token]) -> list[tuple[Token | None, Token, Token | None]]:
    padded = [None, *tokens, None]
    return [(padded[i], token, padded[i + 2]) for i, token in enumerate(tokens)]


def _part_of(line: Line, before: Token | None, token: Token, after: Token | None) -> object:
    """The token type of an unquoted word: `contains` and `date` before their text, else a key."""
    from sqlglot.tokens import TokenType

    place, word = place_of(token), token.text.lower()
    if after is not None and after.token_type is TokenType.L_PAREN:
        if word != "contains":
            raise line.error(place, f"there is no function {line.quoted(place)}")
        return TokenType.VAR
    if after is not None and after.token_type is TokenType.STRING:
        if word == "contains" and before is not None:
            # sqlglot has no operator of that name; it reads @> as "the list has".
            return TokenType.AT_GT
        if word == "date":
            return TokenType.DATE
        raise line.error(place_of(after), f"text is not expected after {line.quoted(place)}")
    return TokenType.IDENTIFIER


def _check_quotes(line: Line) -> None:
    """Every quote is closed; a doubled quote closes and opens again."""
    opened: int | None = None
    for i, character in enumerate(line.text):
        if opened is None and character in "'\"":
            opened = i
        elif opened is not None and character == line.text[opened]:
            opened = None
    if opened is not None:
        raise line.error(Place(opened, opened + 1), "this quote is not closed")


def _check_gap(line: Line, token: Token, after: Token | None) -> None:
    """`1abc` and `0x1F` are one word to a person, and two to the grammar."""
    from sqlglot.tokens import TokenType

    if after is None or after.start != token.end + 1 or token.token_type is not TokenType.NUMBER:
        return
    if after.text[:1].isidentifier():
        place = Place(token.start, after.end + 1)
        raise line.error(place, f"{line.quoted(place)} is not a number")


def _check_sign(line: Line, before: Token | None, token: Token, after: Token | None) -> None:
    """A minus stands before a number, and after no value."""
    from sqlglot.tokens import TokenType

    place = place_of(token)
    quoted = (TokenType.STRING, TokenType.IDENTIFIER)
    if before is not None and (before.token_type in quoted or not is_operator(before.text)):
        raise line.error(
            place,
            'there is no arithmetic; a key with - in it stands in double quotes: "pub-date"',
        )
    if after is None or after.token_type is not TokenType.NUMBER:
        raise line.error(place, "a minus stands before a number only")


def _check_depth(line: Line, tokens: list[Token]) -> None:
    """Parentheses are paired, and nest with `not` at most `MAX_DEPTH`, for the grammar recurses."""
    from sqlglot.tokens import TokenType

    depth, nots = 0, 0
    opened: list[tuple[Token, int]] = []
    for token in tokens:
        if token.token_type is TokenType.NOT:
            nots += 1
        elif token.token_type is TokenType.L_PAREN:
            opened.append((token, depth))
            depth, nots = depth + nots + 1, 0
        else:
            nots = 0
            if token.token_type is TokenType.R_PAREN:
                if not opened:
                    raise line.error(place_of(token), "this parenthesis closes nothing")
                depth = opened.pop()[1]
        if depth + nots > MAX_DEPTH:
            raise line.error(
                place_of(token), f"parentheses and not are nested deeper than {MAX_DEPTH}"
            )
    if opened:
        raise line.error(place_of(opened[-1][0]), "this parenthesis is not closed")
    for first, second in pairwise(tokens):
        if first.token_type is TokenType.L_PAREN and second.token_type is TokenType.R_PAREN:
            raise line.error(
                Place(first.start, second.end + 1), "nothing stands between these parentheses"
            )
