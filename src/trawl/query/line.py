"""Parse the query language: ``muon decay -cosmic image:plot.png^0.5 year:>=2020``.

`line.lark` is the grammar, ``docs/queries.md`` the manual. Parsing opens no file and needs no
library. The parser keeps a stack of its own: no input reaches Python's recursion limit.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from trawl.errors import QueryError, UsageError
from trawl.query.clauses import (
    Choice,
    Clause,
    Condition,
    Excluded,
    MediaKind,
    MediaPart,
    ParsedQuery,
    TextPart,
    Word,
)
from trawl.query.conditions import build_condition, check_unweighted, missing_value
from trawl.query.grammar import parser
from trawl.query.places import (
    QUOTES,
    Line,
    Place,
    place_of,
    plain_signs,
    text_of,
    unescaped,
)
from trawl.types import MODALITIES

if TYPE_CHECKING:
    from lark import Token, Tree, UnexpectedToken

MAX_QUERY_LENGTH = 4_000
MAX_TERMS = 50
MAX_WEIGHT = 100

_LONG_WORD = 5
_MEDIA: dict[str, MediaKind] = {"image": "image", "audio": "audio", "like": "like"}
_SIGNS = re.compile(r'["“”„()\\^~:]|(?<!\S)[+-]')
_UNCLOSED = "this parenthesis is not closed; write \\( for the sign itself"
_WEIGHT = re.compile(r"[0-9]{1,9}(\.[0-9]{0,6})?|\.[0-9]{1,6}")

_Sign: TypeAlias = Literal["+", "-"] | None


def parse_query(text: str) -> ParsedQuery:
    """Parse a line of the query language.

    Words without a weight are one text. ``+``, ``-``, quotes, ``~``, ``^``, parentheses
    and ``key:value`` have a meaning only in certain places (`docs/queries.md`).

    Raises `QueryError`, which points at the place, for a syntax error, a query that only
    excludes, or more than `MAX_TERMS` terms (plain words do not count, and each value of
    a list counts as one); and for an empty query or more than `MAX_QUERY_LENGTH`
    characters.
    """
    if len(text) > MAX_QUERY_LENGTH:
        raise QueryError(
            f"the query has {len(text):,} characters; the maximum is {MAX_QUERY_LENGTH:,}. Keep "
            "its most important sentences, or add it as a file and search for similar ones"
        )
    if not text.strip():
        raise QueryError("the query is empty; it needs at least one word, file or condition")
    line = Line(text, "query")
    _check_unicode(line)
    if not _SIGNS.search(text):
        return ParsedQuery(tuple(map(Word, text.split())))
    builder = _Builder(line)
    query = ParsedQuery(tuple(builder.clauses(_tree(line))))
    builder.check_result(query)
    return query


def _check_unicode(line: Line) -> None:
    try:
        line.text.encode()
    except UnicodeEncodeError as error:
        place = Place(error.start, error.start + 1)
        raise line.error(place, "this is not a Unicode character; use UTF-8") from None


def _tree(line: Line) -> Tree[Token]:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    try:
        return parser("line", lexer="contextual").parse(line.text)
    except UnexpectedCharacters as error:
        raise _unexpected_character(line, error.pos_in_stream or 0) from None
    except UnexpectedToken as error:
        raise _unexpected_token(line, error) from None


def _unexpected_character(line: Line, start: int) -> UsageError:
    place = Place(start, start + 1)
    if line.text[start] in QUOTES:
        return line.error(place, "this quote is not closed")
    return line.error(place, f"{line.quoted(place)} is not expected here")


def _unexpected_token(line: Line, error: UnexpectedToken) -> UsageError:
    from lark import Token

    token, place = error.token, place_of(error.token)
    stack = error.interactive_parser.parser_state.value_stack
    opened = [node for node in stack if isinstance(node, Token) and node.type == "LPAR"]
    if token.type == "$END" and opened:
        return line.error(place_of(opened[-1]), _UNCLOSED)
    if "ITEM" in error.accepts:
        return line.error(place, "a value is missing here: (arXiv, CERN)")
    if "COMMA" in error.accepts:
        start = Place(place.start, place.start + 1)
        return line.error(start, "commas stand between the values: (arXiv, CERN)")
    if token.type in ("DOTS", "OPEN_DOTS"):
        return line.error(place, "a range stands alone, key:2019..2021; put dots in quotes")
    if "WEIGHT" in token.type:
        check_unweighted(line, token)
    return line.error(place, f"{line.quoted(place)} is not expected here")


class _Builder:
    """Turns lark's tree into clauses. Each method takes a clause's place and children."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.places: list[Place] = []  # of the clauses
        self.opened: list[int] = []  # open parentheses in plain words

    def clauses(self, tree: Tree[Token]) -> list[Clause]:
        clauses: list[Clause] = []
        terms = 0
        end = -1
        for node in cast("list[Tree[Token]]", tree.children):
            place = place_of(node)
            if place.start == end:
                raise self._no_space(end)
            end = place.end
            clause = getattr(self, f"_{node.data}")(place, *node.children)
            clauses.append(clause)
            self.places.append(place)
            terms += _terms(clause)
            if terms > MAX_TERMS:
                raise self.line.error(
                    place,
                    f"a query has at most {MAX_TERMS} terms (plain words do not count), and "
                    "this one is too many",
                )
        if self.opened:
            raise self.line.error(Place(self.opened[-1], self.opened[-1] + 1), _UNCLOSED)
        return clauses

    def check_result(self, query: ParsedQuery) -> None:
        """Raise `QueryError` if the query only excludes, or leaves no modality."""
        # What matches a filter can be listed without what is excluded.
        excluding = () if query.where is not None or query.modalities else Excluded
        away = [isinstance(each, excluding) or _weight_of(each) < 0 for each in query.clauses]
        if any(away) and not any(term.weight > 0 for term in query.terms):
            raise self.line.error(
                self.places[away.index(True)],
                "the query only excludes; add at least one word or file without a minus",
            )
        choices = [isinstance(each, Choice) and each.negated for each in query.clauses]
        if any(choices) and not query.modalities:
            raise self.line.error(
                self.places[choices.index(True)],
                f"no modality is left; there are: {', '.join(MODALITIES)}",
            )

    def _word(
        self, place: Place, sign: _Sign, token: Token, fuzzy: Token | None, weight: Token | None
    ) -> Clause:
        """`muon`, `muon~1`, `muon^2`, `+muon`, `-muon`."""
        self._pair_parentheses(token)
        word = self._fuzzy(text_of(self.line, token), fuzzy)
        number = self._weight(weight)
        if sign == "-":
            return self._excluded(place, word, number)
        if sign == "+":
            if word.mark == "fuzzy":
                raise self.line.error(place, "a required word is not fuzzy; omit + or ~")
            word = Word(word.text, "required")
        return word if number is None else TextPart((word,), number)

    def _phrase(self, place: Place, sign: _Sign, token: Token, weight: Token | None) -> Clause:
        """`"exact words"`, `+"exact words"^2`, `-"exact words"`."""
        text = self._phrase_text(place, token)
        number = self._weight(weight)
        if sign == "-":
            return self._excluded(place, Word(text), number)
        word = Word(text, "required" if sign == "+" else "phrase")
        return word if number is None else TextPart((word,), number)

    def _group(self, place: Place, sign: _Sign, opened: Token, *rest: Any) -> TextPart:
        """Parse `(some words)^0.5` or `-(some words)`."""
        *members, closed, weight = rest
        if sign == "+":
            raise self.line.error(
                Place(place.start, place_of(opened).end),
                'each required word has its own +: +muon +decay, or +"muon decay"',
            )
        words = [self._member(pieces) for pieces in self._pieces(members)]
        if not words:
            empty = Place(place_of(opened).start, place_of(closed).end)
            raise self.line.error(empty, "nothing stands between these parentheses")
        number = self._weight(weight)
        if sign != "-":
            return TextPart(tuple(words), 1.0 if number is None else number)
        if any(word.mark == "fuzzy" for word in words):
            raise self.line.error(place, "no word behind a minus is fuzzy; omit ~")
        plain = tuple(Word(each) for word in words for each in word.text.split())
        return TextPart(plain, -1.0 if number is None else -number)

    def _pieces(self, members: list[Token]) -> list[list[Token]]:
        """Split the tokens of a group at white space and before quotes."""
        words: list[list[Token]] = []
        end = -1
        for token in members:
            place = place_of(token)
            if place.start != end:
                words.append([token])
            elif token[0] in QUOTES or (
                words[-1][-1].type == "QUOTED" and token.type != "MEMBER_WEIGHT"
            ):
                raise self._no_space(end)
            else:
                words[-1].append(token)
            end = place.end
        return words

    def _member(self, pieces: list[Token]) -> Word:
        """One word or phrase of a group."""
        first, last = pieces[0], pieces[-1]
        whole = Place(place_of(first).start, place_of(last).end)
        if first.type == "QUOTED":
            if last.type == "MEMBER_WEIGHT":
                raise self.line.error(place_of(last), "a phrase has no weight here")
            return Word(self._phrase_text(whole, first), "phrase")
        if first.type == "LPAR":
            raise self.line.error(
                place_of(first), "parentheses do not nest; write \\( for the sign itself"
            )
        if first.type == "OUTSIDE":
            raise self.line.error(
                place_of(first), "parentheses hold only words and phrases; put this outside"
            )
        if any(piece.type == "MEMBER_WEIGHT" for piece in pieces):
            raise self.line.error(whole, "a weight stands behind the parenthesis: (some words)^2")
        fuzzy = pieces.pop() if last.type == "MEMBER_FUZZY" else None
        return self._fuzzy("".join(text_of(self.line, piece) for piece in pieces), fuzzy)

    def _part(
        self, place: Place, sign: _Sign, form: Token, token: Token, weight: Token | None
    ) -> Clause:
        """`image:plot.png^0.5`, `audio:"my siren.wav"`, `like:CHUNK`, `text:word`."""
        name = form[:-1]
        if sign == "+":
            raise self.line.error(
                Place(place.start, place_of(form).end),
                f"{name}: takes no +; use a weight to make it count more: {name}:x^2",
            )
        number = self._weight(weight)
        value = text_of(self.line, token)
        if not value.strip():
            raise self._empty_part(place, sign, form)
        signed = (1.0 if number is None else number) * (-1 if sign == "-" else 1)
        if name in _MEDIA:
            return MediaPart(_MEDIA[name], value, signed, place)
        return TextPart(tuple(Word(word) for word in value.split()), signed)

    def _empty_part(self, place: Place, sign: _Sign, form: Token, *_: Token) -> UsageError:
        behind = Place(place_of(form).end, place.end)
        raise self.line.error(behind, f"nothing stands behind {form}")

    def _modality(self, place: Place, sign: _Sign, form: Token, token: Token) -> Choice:
        """`modality:image`, or `-modality:image` for all others."""
        name = unescaped(token)
        for modality in MODALITIES:
            if name == modality:
                return Choice(modality, sign == "-")
        raise self.line.error(
            place_of(token),
            f'no modality "{name[:30]}"; there are: {", ".join(MODALITIES)}, '
            "each written on its own: modality:image modality:audio",
        )

    def _condition(
        self, place: Place, sign: _Sign, key: Token, test: Any, weight: Token | None
    ) -> Condition:
        check_unweighted(self.line, weight)
        return build_condition(self.line, place, sign == "-", key, test)

    def _presence(
        self, place: Place, sign: _Sign, form: Token, key: Token, weight: Token | None
    ) -> Condition:
        """`has:doi`."""
        check_unweighted(self.line, weight)
        return build_condition(self.line, place, sign == "-", key, None)

    def _no_value(self, place: Place, sign: _Sign, key: Token) -> Clause:
        raise self.line.error(place, missing_value(unescaped(key[1:-2])))

    def _no_form(self, place: Place, sign: _Sign, form: Token) -> Clause:
        raise self.line.error(
            place,
            f"nothing stands directly behind {form} ; write {form[:-1]}\\: for the word itself",
        )

    def _lone_weight(self, place: Place, weight: Token) -> Clause:
        self._weight(weight)
        raise self.line.error(place, "nothing stands before ^; write \\^ for the sign itself")

    def _fuzzy(self, text: str, fuzzy: Token | None) -> Word:
        if fuzzy is None:
            return Word(text)
        distance = fuzzy[1:]
        if distance not in ("", "1", "2"):
            raise self.line.error(
                place_of(fuzzy),
                f"a fuzzy word differs by 1 or 2 letters, not {distance[:30]}: "
                "muon~1; write \\~ for the sign itself",
            )
        return Word(text, "fuzzy", int(distance or (1 if len(text) <= _LONG_WORD else 2)))

    def _weight(self, token: Token | None) -> float | None:
        """Return the number of `^2`, with 0 < weight <= `MAX_WEIGHT`."""
        if token is None:
            return None
        number = token[1:]
        if _WEIGHT.fullmatch(number) is None:
            problem = "a number must follow ^, as in muon^2 or muon^0.5"
            if number.startswith("-"):
                problem = "a minus stands before the part, -(words)^0.5 or -image:x.png^0.5"
            elif number:
                problem += f', not "{number[:30]}"'
            raise self.line.error(place_of(token), f"{problem}; write \\^ for the sign itself")
        if not 0 < float(number) <= MAX_WEIGHT:
            raise self.line.error(
                place_of(token), f"a weight is more than 0 and at most {MAX_WEIGHT}, not {number}"
            )
        return float(number)

    def _phrase_text(self, place: Place, token: Token) -> str:
        text = " ".join(text_of(self.line, token).split())
        if not text:
            raise self.line.error(
                Place(place.start, place_of(token).end), "nothing stands between these quotes"
            )
        return text

    def _excluded(self, place: Place, word: Word, weight: float | None) -> Excluded:
        if word.mark == "fuzzy":
            raise self.line.error(place, "an excluded word is matched exactly; omit ~")
        if weight is not None:
            raise self.line.error(
                place,
                "an excluded word has no weight; -(words)^0.5 moves away from what they mean",
            )
        return Excluded(word.text)

    def _pair_parentheses(self, token: Token) -> None:
        """Check that the parentheses in plain words such as f(x, y) are paired."""
        for at, sign in plain_signs(token, "()"):
            start = place_of(token).start + at
            if sign == "(":
                self.opened.append(start)
            elif self.opened:
                self.opened.pop()
            else:
                raise self.line.error(
                    Place(start, start + 1),
                    "this parenthesis closes nothing; write \\) for the sign itself",
                )

    def _no_space(self, start: int) -> UsageError:
        return self.line.error(
            Place(start, start + 1),
            'a space is missing here; write \\" or \\( for a plain quote or parenthesis',
        )


def _weight_of(clause: Clause) -> float:
    return clause.weight if isinstance(clause, TextPart | MediaPart) else 1.0


def _terms(clause: Clause) -> int:
    match clause:
        case Word(_, "plain"):
            return 0
        case Condition():
            return max(1, len(clause.values))
        case TextPart(words):
            return 1 + sum(word.mark != "plain" for word in words)
        case _:
            return 1
