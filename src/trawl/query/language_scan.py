"""The signs of a line of search: where words, quotes and keys begin and end.

A backslash makes the sign behind it an ordinary character; before a letter, a digit
or a space it is one itself, so that ``\\mu`` and ``C:\\plots`` stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trawl.errors import UsageError
from trawl.query.places import Line, Place

FORMS = frozenset({"text", "image", "audio", "like", "modality", "has"})
MAX_WEIGHT = 100

Sign: TypeAlias = Literal["", "+", "-"]

# A key, unquoted: a letter or _, then letters, digits, _ . and -
_KEY = re.compile(r"[^\W\d][\w.\-]*:")
_ORDINARY = re.compile(r"\w+")
_WEIGHT = re.compile(r"[0-9]{1,9}(\.[0-9]{0,6})?|\.[0-9]{1,6}")
_CLOSING = {'"': '"', "“": "“”", "”": "“”", "„": "“”"}
_SIGNS: dict[str, Sign] = {"+": "+", "-": "-"}
# Before one of these a + or - is a character: "->", "--flag", "+/-" and a lone dash are words.
_UNSIGNED = frozenset("!%&')*+,-./:;<=>?[]^`{|}~")
_NO_VALUE = frozenset(":\\),;")
_PUNCTUATION = ",.;!?"


@dataclass(frozen=True, slots=True)
class Run:
    """Characters read up to a stop, escapes undone.

    `live` says of each character whether it stood without a backslash, and so may be
    a sign; `places` where it stands in the line.
    """

    text: str
    live: tuple[bool, ...]
    places: tuple[int, ...]
    place: Place

    def find(self, sign: str) -> int:
        """The first `sign` that is live, or -1."""
        return self._next(sign, range(len(self.text)))

    def rfind(self, sign: str) -> int:
        """The last `sign` that is live, or -1."""
        return self._next(sign, reversed(range(len(self.text))))

    def _next(self, sign: str, order: Iterable[int]) -> int:
        return next((i for i in order if self.text[i] == sign and self.live[i]), -1)

    def cut(self, first: int, end: int) -> Run:
        """The characters `first` to `end`."""
        places = self.places[first:end]
        place = (
            Place(places[0], places[-1] + 1) if places else Place(self.place.end, self.place.end)
        )
        return Run(self.text[first:end], self.live[first:end], places, place)

    def trimmed(self) -> Run:
        """Without white space at both ends."""
        first = len(self.text) - len(self.text.lstrip())
        return self.cut(first, max(first, len(self.text.rstrip())))


class Scanner:
    """Reads a line from `at` on. Every method is linear in what it reads."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.line = Line(text, "query")
        self.at = 0

    def problem(self, place: Place, what: str) -> UsageError:
        """Return the error that points at `place`."""
        return self.line.error(place, what)

    def peek(self) -> str:
        """The character at `at`; "" at the end of the line."""
        return self.text[self.at : self.at + 1]

    def since(self, start: int) -> Place:
        """From `start` to `at`, one character at least."""
        return Place(start, max(self.at, start + 1))

    def skip_space(self) -> None:
        """Go on to the next character that is not white space."""
        while self.peek().isspace():
            self.at += 1

    def run(self, stops: str = "", *, spaces: bool = False, ends: bool = False) -> Run:
        """Up to a live character of `stops`, and up to white space unless `spaces`.

        With `ends` it stops too at a quote behind two live dots, the end of a range.
        Raises `QueryError` at a quote, which opens only where a word or a value begins.
        """
        start = self.at
        characters: list[str] = []
        live: list[bool] = []
        places: list[int] = []
        while found := self.peek():
            if ordinary := _ORDINARY.match(self.text, self.at):
                characters += ordinary.group()
                live += [True] * len(ordinary.group())
                places += range(*ordinary.span())
                self.at = ordinary.end()
                continue
            behind = self.text[self.at + 1 : self.at + 2]
            escaped = found == "\\" and behind != "" and not behind.isalnum()
            escaped = escaped and not behind.isspace()
            if not escaped and (found in stops or (found.isspace() and not spaces)):
                break
            if not escaped and found in _CLOSING:
                if ends and characters[-2:] == [".", "."] and all(live[-2:]):
                    break
                raise self.problem(
                    Place(self.at, self.at + 1),
                    f"a quote opens only where a word begins; write \\{found} for the sign itself",
                )
            characters.append(behind if escaped else found)
            live.append(not escaped)
            places.append(self.at)
            self.at += 2 if escaped else 1
        return Run("".join(characters), tuple(live), tuple(places), self.since(start))

    def at_quote(self) -> bool:
        """Whether a quoted text begins here."""
        return self.peek() in _CLOSING

    def quoted(self) -> str:
        """The text between the quotes that begin here, escapes undone."""
        start = self.at
        closing = _CLOSING[self.peek()]
        characters: list[str] = []
        self.at += 1
        while (found := self.peek()) not in closing:
            behind = self.text[self.at + 1 : self.at + 2]
            if found == "\\" and behind and not behind.isalnum() and not behind.isspace():
                characters.append(behind)
                self.at += 2
            else:
                characters.append(found)
                self.at += 1
        if not self.peek():
            raise self.problem(Place(start, start + 1), "this quote is not closed")
        self.at += 1
        return "".join(characters)

    def sign(self) -> Sign:
        """The + or - that begins an item here, and is stepped over; else ""."""
        behind = self.text[self.at + 1 : self.at + 2]
        found = _SIGNS.get(self.peek())
        if found is None or not behind or behind.isspace() or behind in _UNSIGNED:
            return ""
        self.at += 1
        return found

    def key(self) -> str | None:
        """The key that begins here with a value directly behind it, stepped over; else None.

        ``12:30``, ``http://x``, ``std::string`` and ``note: this`` have none.
        Raises `QueryError` where nothing is behind a form's own word (``image: x``).
        """
        start = self.at
        key = key_at(self.text, start)
        if key is None:
            return None
        self.at += len(key) + 1
        if key in FORMS and not has_value(self.text, self.at) and self.peek() != "\\":
            raise self.problem(
                self.since(start),
                f"nothing stands directly behind {key}: ; for the word itself write {key}\\:",
            )
        return key

    def close(self, what: str, *, weighted: bool, end: str = "") -> float | None:
        """What may follow a closing quote or parenthesis: a weight, punctuation, white space.

        Punctuation is passed over; `end` may follow too. Gives the weight, None where
        there is none.
        """
        weight = None
        if self.peek() == "^":
            found = self.run(end)
            if not weighted:
                raise self.problem(found.place, f"{what} has no weight here")
            weight = self.weight(found)
        start = self.at
        while (found_sign := self.peek()) and found_sign in _PUNCTUATION:
            self.at += 1
        if self.peek() and not self.peek().isspace() and self.peek() not in end:
            raise self.problem(
                Place(start, start + 1),
                f"a space is missing behind {what}; "
                'write \\" or \\( where a quote or a parenthesis is no sign',
            )
        return weight

    def weight(self, found: Run) -> float:
        """The number of `^2`, in 0 < weight <= 100, to six places behind the point."""
        number = found.text[1:]
        if _WEIGHT.fullmatch(number) is None or not all(found.live):
            wrong = "a number must stand behind ^, muon^2 or muon^0.5"
            if number.startswith("-"):
                wrong = "a minus stands before the part, -(words)^0.5 or -image:x.png^0.5"
            elif number:
                wrong += f', not "{number[:30]}"'
            raise self.problem(found.place, f"{wrong}; write \\^ for the sign itself")
        if not 0 < float(number) <= MAX_WEIGHT:
            raise self.problem(
                found.place, f"a weight is more than 0 and at most {MAX_WEIGHT}, not {number}"
            )
        return float(number)


def key_at(text: str, at: int) -> str | None:
    """The key of `key:value` at `at`; None where the rule of keys sees words."""
    found = _KEY.match(text, at)
    if found is None:
        return None
    key = found.group()[:-1]
    if key in FORMS:
        return None if text.startswith(":", found.end()) else key
    return key if has_value(text, found.end()) else None


def has_value(text: str, at: int) -> bool:
    """Whether what stands at `at`, directly behind a colon, can be a value."""
    first = text[at : at + 1]
    if not first or first.isspace() or first in _NO_VALUE:
        return False
    return not text.startswith("//", at)
