"""The language of one line of search: ``muon decay -cosmic image:plot.png^0.5 year:>=2020``.

`parse_query` reads a line, `format_query` writes one back in its normal form. Both are
pure: no file is opened and no column is asked for. ``docs/queries.md`` tells it to a person.
"""

from __future__ import annotations

from dataclasses import replace

from trawl.errors import QueryError, UsageError
from trawl.query.language_conditions import read_condition, read_has
from trawl.query.language_parts import (
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
from trawl.query.language_scan import FORMS, Run, Scanner, Sign
from trawl.query.places import Place, Spot
from trawl.types import MODALITIES

MAX_QUERY_LENGTH = 4_000
MAX_TERMS = 50
LONG_WORD = 5

_MEDIA: dict[str, MediaKind] = {"image": "image", "audio": "audio", "like": "like"}


def parse_query(line: str) -> ParsedQuery:
    """Read a line of search.

    Words without a weight are one text; ``+``, ``-``, quotes, ``~``, ``^``, parentheses
    and ``key:value`` are signs only where they can be (`docs/queries.md`).

    Raises `QueryError`, which shows the place, for what cannot be read; and for an empty
    line, a line that only excludes, more than `MAX_QUERY_LENGTH` characters, or more than
    `MAX_TERMS` terms (plain words count nothing, each value of a list one).
    """
    if len(line) > MAX_QUERY_LENGTH:
        raise QueryError(
            f"the query has {len(line):,} characters; at most {MAX_QUERY_LENGTH:,} are read. Give "
            "its most telling sentences, or add it as a file and ask for what is like it"
        )
    if not line.strip():
        raise QueryError("the query is empty; give at least one word, a file or a condition")
    reader = _Reader(line)
    query = ParsedQuery(tuple(reader.clauses()))
    reader.check_sense(query)
    return query


class _Reader:
    """Reads the items of a line, one after the other, without recursion."""

    def __init__(self, text: str) -> None:
        self.scan = Scanner(text)
        self.places: list[Place] = []  # of the clauses
        self.opened: list[int] = []  # parentheses that are characters of words, still open

    def clauses(self) -> list[Clause]:
        scan = self.scan
        _check_unicode(scan)
        found: list[Clause] = []
        terms = 0
        scan.skip_space()
        while scan.peek():
            start = scan.at
            clause = self.clause()
            found.append(clause)
            self.places.append(scan.since(start))
            terms += _terms(clause)
            if terms > MAX_TERMS:
                raise scan.problem(
                    self.places[-1],
                    f"a query has at most {MAX_TERMS} terms (plain words are not counted), and "
                    "this is beyond; leave some out",
                )
            scan.skip_space()
        if self.opened:
            raise self._unclosed(self.opened[-1])
        return found

    def check_sense(self, query: ParsedQuery) -> None:
        """Raise `QueryError` where nothing is left to find, or to find it by."""
        away = [isinstance(each, Excluded) or _weight(each) < 0 for each in query.clauses]
        if any(away) and not any(term.weight > 0 for term in query.terms):
            raise self.scan.problem(
                self.places[away.index(True)],
                "the query only excludes, and nothing says what to find; "
                "give at least one word or a file without a minus",
            )
        choices = [isinstance(each, Choice) and each.negated for each in query.clauses]
        if any(choices) and not query.modalities:
            raise self.scan.problem(
                self.places[choices.index(True)],
                f"no modality is left to find; there are: {', '.join(MODALITIES)}",
            )

    def clause(self) -> Clause:
        scan, start = self.scan, self.scan.at
        sign = scan.sign()
        if scan.peek() == "(":
            return self.group(sign, start)
        if scan.at_quote():
            return self.phrase(sign, start)
        key = scan.key()
        if key is None:
            return self.word(sign, start)
        if key == "modality":
            return self.choice(sign)
        if key == "has":
            return self.presence(sign)
        if key not in FORMS:
            return self.condition(key, sign, start)
        if sign == "+":
            raise scan.problem(
                scan.since(start), f"{key}: takes no +; a weight makes it count: {key}:x^2"
            )
        return self.part(key, sign)

    def condition(self, key: str, sign: Sign, start: int) -> Condition:
        """`year:>=2020`, from behind its colon on."""
        scan, behind = self.scan, self.scan.at
        found = read_condition(scan, key, negated=sign == "-", start=start)
        places = Place(start + len(sign), behind - 1), Place(behind, max(scan.at, behind + 1))
        return replace(found, spot=Spot(scan.line, places[0], (places[1],)))

    def presence(self, sign: Sign) -> Condition:
        """`has:doi`, from behind its colon on."""
        scan, behind = self.scan, self.scan.at
        found = read_has(scan, negated=sign == "-")
        return replace(found, spot=Spot(scan.line, scan.since(behind)))

    def word(self, sign: Sign, start: int) -> Clause:
        """`muon`, `muon~1`, `muon^2`, `+muon`, `-muon`."""
        run = self.scan.run()
        self._pair_parentheses(run)
        word, weight = self._marked(run)
        place = self.scan.since(start)
        if sign == "-":
            self._check_excluded(word, weight, place)
            return Excluded(word.text)
        if sign == "+":
            if word.mark == "fuzzy":
                raise self.scan.problem(place, "a required word is not fuzzy; leave out + or ~")
            word = Word(word.text, "required")
        return word if weight is None else TextPart((word,), weight)

    def phrase(self, sign: Sign, start: int) -> Clause:
        """`"exact words"`, with a sign or a weight; or `"a key":value`."""
        scan = self.scan
        raw = scan.quoted()
        if scan.peek() == ":":
            scan.at += 1
            if not raw:
                raise scan.problem(scan.since(start), "this key is empty; a key is a name")
            return self.condition(raw, sign, start)
        text = self._phrase_text(raw, start)
        weight = scan.close("a phrase", weighted=True)
        if sign == "-":
            self._check_excluded(Word(text), weight, scan.since(start))
            return Excluded(text)
        word = Word(text, "required" if sign == "+" else "phrase")
        return word if weight is None else TextPart((word,), weight)

    def group(self, sign: Sign, start: int) -> TextPart:
        """`(some words)^0.5`, and with a minus what to move away from."""
        scan, opened = self.scan, self.scan.at
        if sign == "+":
            raise scan.problem(
                Place(start, opened + 1),
                'each required word has its own +: +muon +decay, or +"muon decay"',
            )
        scan.at += 1
        words: list[Word] = []
        inner: list[int] = []
        scan.skip_space()
        while scan.peek() != ")" or inner:
            if not scan.peek():
                raise self._unclosed(inner[-1] if inner else opened)
            words.append(self.group_word(inner))
            scan.skip_space()
        scan.at += 1
        if not words:
            raise scan.problem(scan.since(opened), "nothing stands between these parentheses")
        weight = scan.close("a parenthesis", weighted=True)
        if sign != "-":
            return TextPart(tuple(words), 1.0 if weight is None else weight)
        if any(word.mark == "fuzzy" for word in words):
            raise scan.problem(scan.since(start), "behind a minus no word is fuzzy; leave out ~")
        plain = tuple(Word(each) for word in words for each in word.text.split())
        return TextPart(plain, -1.0 if weight is None else -weight)

    def group_word(self, inner: list[int]) -> Word:
        """One word or phrase in a group; `inner` is where its plain parentheses are open."""
        scan, start = self.scan, self.scan.at
        if scan.at_quote():
            text = self._phrase_text(scan.quoted(), start)
            scan.close("a phrase", weighted=False, end=")")
            return Word(text, "phrase")
        if scan.peek() == "(":
            raise scan.problem(Place(start, start + 1), "parentheses do not nest; \\( is no sign")
        if scan.sign() or scan.key() is not None:
            raise scan.problem(
                scan.since(start), "only words and phrases stand in parentheses; put this outside"
            )
        parts: list[Run] = []
        while True:
            part = scan.run("()")
            parts.append(part)
            if scan.peek() not in ("(", ")") or (scan.peek() == ")" and not inner):
                break
            if scan.peek() == "(":
                inner.append(scan.at)
            else:
                inner.pop()
            parts.append(_single(scan))
        word, weight = self._marked(_together(parts))
        if weight is not None:
            raise scan.problem(
                scan.since(start), "a weight stands behind the parenthesis: (some words)^2"
            )
        return word

    def part(self, form: str, sign: Sign) -> Clause:
        """`image:plot.png^0.5`, `audio:"my siren.wav"`, `like:CHUNK`, `text:word`."""
        scan, start = self.scan, self.scan.at
        if scan.at_quote():
            value = scan.quoted()
            weight = scan.close("a quote", weighted=True)
        else:
            run = scan.run()
            hat = run.find("^")
            weight = scan.weight(run.cut(hat, len(run.text))) if hat >= 0 else None
            value = run.text if hat < 0 else run.text[:hat]
        if not value.strip():
            raise scan.problem(scan.since(start), f"nothing stands behind {form}:")
        signed = (1.0 if weight is None else weight) * (-1 if sign == "-" else 1)
        if form in _MEDIA:
            return MediaPart(_MEDIA[form], value, signed)
        return TextPart(tuple(Word(word) for word in value.split()), signed)

    def choice(self, sign: Sign) -> Choice:
        """`modality:image`, or with a minus all but it."""
        run = self.scan.run()
        for modality in MODALITIES:
            if run.text == modality:
                return Choice(modality, sign == "-")
        raise self.scan.problem(
            run.place,
            f'no modality "{run.text[:30]}"; there are: {", ".join(MODALITIES)}, '
            "each written on its own: modality:image modality:audio",
        )

    def _marked(self, run: Run) -> tuple[Word, float | None]:
        """A word without its `~1` and `^2`, and its weight."""
        scan, hat, weight = self.scan, run.find("^"), None
        if hat >= 0:
            behind = run.cut(hat, len(run.text))
            weight = scan.weight(behind)
            if hat == 0:
                raise scan.problem(behind.place, "nothing stands before ^; write \\^ for the sign")
            run = run.cut(0, hat)
        tilde = run.rfind("~")
        distance = run.text[tilde + 1 :]
        if tilde <= 0 or distance.strip("0123456789."):
            return Word(run.text), weight
        text = run.text[:tilde]
        if distance not in ("", "1", "2"):
            raise scan.problem(
                run.cut(tilde, len(run.text)).place,
                f"a fuzzy word differs by 1 or 2 letters, not {distance[:30]}: "
                "muon~1; write \\~ for the sign itself",
            )
        return Word(text, "fuzzy", int(distance or (1 if len(text) <= LONG_WORD else 2))), weight

    def _phrase_text(self, raw: str, start: int) -> str:
        text = " ".join(raw.split())
        if not text:
            raise self.scan.problem(self.scan.since(start), "nothing stands between these quotes")
        return text

    def _check_excluded(self, word: Word, weight: float | None, place: Place) -> None:
        if word.mark == "fuzzy":
            raise self.scan.problem(place, "an excluded word is found as written; leave out ~")
        if weight is not None:
            raise self.scan.problem(
                place,
                "an excluded word has no weight, it never comes back; "
                "-(words)^0.5 moves away from what they mean",
            )

    def _pair_parentheses(self, run: Run) -> None:
        """Parentheses in plain words, f(x, y), are characters, but have to be paired."""
        for character, live, place in zip(run.text, run.live, run.places, strict=True):
            if live and character == "(":
                self.opened.append(place)
            elif live and character == ")":
                if not self.opened:
                    raise self.scan.problem(
                        Place(place, place + 1),
                        "this parenthesis closes nothing; write \\) for the sign itself",
                    )
                self.opened.pop()

    def _unclosed(self, opened: int) -> UsageError:
        return self.scan.problem(
            Place(opened, opened + 1),
            "this parenthesis is not closed; write \\( for the sign itself",
        )


def _single(scan: Scanner) -> Run:
    """The parenthesis at the scanner, as a character."""
    start = scan.at
    scan.at += 1
    return Run(scan.text[start : scan.at], (True,), (start,), scan.since(start))


def _together(parts: list[Run]) -> Run:
    return Run(
        "".join(part.text for part in parts),
        tuple(live for part in parts for live in part.live),
        tuple(place for part in parts for place in part.places),
        Place(parts[0].place.start, parts[-1].place.end),
    )


def _weight(clause: Clause) -> float:
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


def _check_unicode(scan: Scanner) -> None:
    try:
        scan.text.encode()
    except UnicodeEncodeError as error:
        raise scan.problem(
            Place(error.start, error.start + 1), "this is no character of Unicode; write UTF-8"
        ) from None
