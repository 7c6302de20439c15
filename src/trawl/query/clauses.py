"""A parsed query: its clauses in order, and properties for the search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from trawl.query.places import Place, Spot
from trawl.query.tree import And, Exists, Filter, Not, Operator, Or, Untyped
from trawl.types import MODALITIES, Modality

MediaKind: TypeAlias = Literal["image", "audio", "like"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the text to embed, or a phrase.

    `distance` is the edit distance of a fuzzy word, 1 or 2, and 0 for other words.
    """

    text: str
    mark: Literal["plain", "required", "phrase", "fuzzy"] = "plain"
    distance: int = 0


@dataclass(frozen=True, slots=True)
class TextPart:
    """Words that are a part of their own. A negative weight moves away from them."""

    words: tuple[Word, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class MediaPart:
    """A file or a chunk id. A negative weight moves away from it."""

    kind: MediaKind
    value: str
    weight: float = 1.0
    place: Place = field(default=Place(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Excluded:
    """A word or phrase that no result contains."""

    text: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on metadata such as `key:value`; the values are still text.

    `values` has one value for an operator and ``contains``, any number for ``in``, both
    ends for ``range``, and none for ``exists``.
    """

    key: str
    op: Operator | Literal["in", "range", "contains", "exists"]
    values: tuple[str, ...] = ()
    negated: bool = False
    spot: Spot | None = field(default=None, compare=False, repr=False)

    @property
    def filter(self) -> Filter:
        """The condition as a filter; a negated one also matches documents without the key."""
        found = self._filter()
        return Not(found) if self.negated else found

    def _filter(self) -> Filter:
        match self.op:
            case "exists":
                return Exists(self.key, self.spot)
            case "in":
                return Or(tuple(Untyped(self.key, "=", each, self.spot) for each in self.values))
            case "range":
                low, high = self.values
                ends: tuple[tuple[Operator, str], ...] = ((">=", low), ("<=", high))
                return And(tuple(Untyped(self.key, op, end, self.spot) for op, end in ends))
            case op:
                return Untyped(self.key, op, self.values[0], self.spot)


@dataclass(frozen=True, slots=True)
class Choice:
    """`modality:image`, or every other modality if `negated`."""

    modality: Modality
    negated: bool = False


Clause: TypeAlias = Word | TextPart | MediaPart | Excluded | Condition | Choice


@dataclass(frozen=True, slots=True)
class Term:
    """A part of the query to embed: words, a file path, or a chunk id (`like`)."""

    kind: Literal["text", "image", "audio", "like"]
    value: str
    weight: float = 1.0


@dataclass(frozen=True)
class ParsedQuery:
    """A parsed query. The properties are derived from `clauses`."""

    clauses: tuple[Clause, ...]

    @property
    def terms(self) -> tuple[Term, ...]:
        """The parts in order; all words without a weight are one part, at the first word.

        Weights are within ±100 and never 0. Empty for a query of conditions alone.
        """
        plain = _joined([clause for clause in self.clauses if isinstance(clause, Word)])
        found: list[Term] = []
        for clause in self.clauses:
            match clause:
                case Word() if plain:
                    found.append(Term("text", plain))
                    plain = ""
                case TextPart(words, weight):
                    found.append(Term("text", _joined(words), weight))
                case MediaPart(kind, value, weight):
                    found.append(Term(kind, value, weight))
                case _:
                    pass
        return tuple(found)

    @property
    def required(self) -> tuple[str, ...]:
        """Words and phrases that every result contains."""
        return _unique(word.text for word in self._words() if word.mark == "required")

    @property
    def excluded(self) -> tuple[str, ...]:
        """Words and phrases that no result contains; they are in no term."""
        return _unique(clause.text for clause in self.clauses if isinstance(clause, Excluded))

    @property
    def phrases(self) -> tuple[str, ...]:
        """Phrases to match exactly, without the required ones."""
        return _unique(word.text for word in self._words() if word.mark == "phrase")

    @property
    def fuzzy(self) -> tuple[tuple[str, int], ...]:
        """Words that may be misspelt, each with its edit distance, 1 or 2."""
        found = [(word.text, word.distance) for word in self._words() if word.mark == "fuzzy"]
        return tuple(dict.fromkeys(found))

    @property
    def where(self) -> Filter | None:
        """All conditions as one filter, not yet bound to a library's columns; None for none."""
        filters = [clause.filter for clause in self.clauses if isinstance(clause, Condition)]
        if len(filters) == 1:
            return filters[0]
        return And(tuple(filters)) if filters else None

    @property
    def modalities(self) -> frozenset[Modality]:
        """The modalities of results; empty if the query does not restrict them."""
        choices = [clause for clause in self.clauses if isinstance(clause, Choice)]
        wanted = {choice.modality for choice in choices if not choice.negated}
        unwanted = {choice.modality for choice in choices if choice.negated}
        return frozenset((wanted or set(MODALITIES)) - unwanted) if choices else frozenset()

    def _words(self) -> Iterator[Word]:
        for clause in self.clauses:
            if isinstance(clause, Word):
                yield clause
            elif isinstance(clause, TextPart):
                yield from clause.words


def _joined(words: tuple[Word, ...] | list[Word]) -> str:
    return " ".join(word.text for word in words)


def _unique(texts: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
