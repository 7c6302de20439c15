"""The words of a text, for the full-text index, queries and highlights alike.

Words are folded: NFKC, lower case, without accents and invisible characters. Scripts that
do not separate words by spaces, and Korean, whose particles follow words directly, are
split into single characters, so a phrase finds any part of a run. The index has two
columns: `exact` has all words in order, for required words, phrases, exclusions and fuzzy
words, and `ranking` has what BM25 counts: English stems, and pairs of characters.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import lru_cache
from typing import NamedTuple

import regex
import Stemmer

_UNSPACED = (
    r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Hangul}\p{Yi}\p{Thai}\p{Lao}\p{Khmer}"
    r"\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Javanese}\p{Balinese}"
    r"ーｰﾞﾟ]--\p{N}--\p{So}]|〇"
)
# Marks and invisible characters are part of a run: a decomposed accent does not end a word.
# Letters that are written for an apostrophe separate words, as an apostrophe does.
_RUN = regex.compile(
    r"(?P<plain>[A-Za-z0-9]++(?![^\x00-\x7f]))"
    rf"|(?P<unspaced>(?:(?:{_UNSPACED})[\p{{M}}\p{{Cf}}]*+)++)"
    r"|(?P<word>(?:(?!" + _UNSPACED + r")[[\p{L}\p{N}]--[ʹʻʼ]][\p{M}\p{Cf}ـ]*+)++)"
    r"|(?P<symbol>\p{So})",
    regex.V1,
)
_ASCII_WORD = re.compile("[a-z0-9]+")
# Parts of texts up to this length are likely to be met again.
_SHORT = 40
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_GRAPHEME = regex.compile(r"\X")
_SEPARATORS = regex.compile(r"[[^\p{L}\p{M}\p{N}]ʹʻʼ]+", regex.V1)
_PICTOGRAPH = regex.compile(r"[\p{Extended_Pictographic}--[\x00-\u22ff]]", regex.V1)
_HANGUL = regex.compile(r"\p{Hangul}")

# Combining classes of vowel signs, viramas, tones and voicing marks, which spell different
# words. Marks of the other classes are accents or optional points.
_SPELLING = frozenset({0, 8, 9, 84, 91, 103, 107, 118, 122, 129, 130, 132})
_INVISIBLE = regex.compile(r"[\p{Cf}\p{Me}\p{Variation_Selector}\u034fـ]")
# Letters with a stroke and ligatures have no decomposition.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i"}
    | {"æ": "ae", "œ": "oe", "þ": "th"}
)
# No text has these tokens, so no phrase matches across them.
_BREAK, _FIELD = "|", "||"

# The list of the engine's English analyzer. BM25 leaves these words out.
_ENGLISH = (
    "a about above after again against all am an and any are as at be because been before "
    "being below between both but by can did do does doing down during each few for from "
    "further had has have having he her here hers herself him himself his how i if in into is "
    "it its itself just me more most my myself now of off on once only or other our ours "
    "ourselves out over own re same she should so some such than that the their theirs them "
    "themselves then there these they this those through to too under until up very was we "
    "were what when where which while who whom why will with you your yours yourself "
    "yourselves"
)
_STOP_WORDS = frozenset(_ENGLISH.split())


class Token(NamedTuple):
    """A folded word, or a character of an unspaced script, and its place in the text.

    `joined` is None for a word. For a character it is true if the token before it is the
    character to its left.
    """

    text: str
    start: int
    end: int
    joined: bool | None = None


class Place(NamedTuple):
    """A ranking term of a text, and its place."""

    start: int
    end: int
    term: str


class RankingTerms(NamedTuple):
    """The terms of a query: those of the ranking column, and words for the exact column."""

    ranking: Sequence[str]
    exact: Sequence[str]


class _Stemmers(threading.local):
    """The stemmer, one per thread: a `Stemmer` is not thread-safe."""

    def __init__(self) -> None:
        self.english = Stemmer.Stemmer("english")


_stemmers = _Stemmers()


def fold(text: str) -> str:
    """Return text in NFKC and lower case, without accents and invisible characters."""
    if text.isascii():
        return text.lower()
    lower = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(
        _digit(character)
        for character in _INVISIBLE.sub("", lower)
        if unicodedata.combining(character) in _SPELLING
    )
    return unicodedata.normalize("NFC", kept.translate(_LETTERS))


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Return the English stem of a folded word. Words of other scripts have none."""
    return str(_stemmers.english.stemWord(word)) if word.isascii() else word


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text, in order."""
    found: list[Token] = []
    end = 0  # of the last token, if it is of an unspaced script
    for run in _RUN.finditer(text):
        start = run.start()
        match run.lastgroup:
            case "plain":
                found.append(Token(run[0].lower(), start, run.end()))
            case "word":
                found += [Token(word, start, run.end()) for word in _words(run[0])]
            case "unspaced":
                joined = bool(found) and found[-1].joined is not None and _joins(text, end, start)
                for character in _GRAPHEME.finditer(run[0]):
                    a, b = start + character.start(), start + character.end()
                    for unit in _units(character[0]):
                        found.append(Token(unit, a, b, joined))
                        joined = True
                end = run.end()
            case _:
                found += [Token(each, start, run.end()) for each in _symbol(run[0])]
    return found


def indexed(fields: Iterable[str]) -> tuple[str, str]:
    """Return the exact and the ranking column of some fields, as terms between spaces.

    The exact column also begins and ends with a space.
    """
    exact: list[str] = []
    ranking: list[str] = []
    for field in fields:
        if field.isascii():  # the same, several times as fast
            plain = _ASCII_WORD.findall(field.lower())
            exact.append(" ".join(plain))
            ranking += [stem(word) for word in plain if word not in _STOP_WORDS]
            continue
        found = tokens(field)
        exact.append(" ".join(_exact(found)))
        ranking += [term for term, parts in ranked(found) if parts[0].text not in _STOP_WORDS]
    return f" {f' {_FIELD} '.join(exact)} ", " ".join(ranking)


@lru_cache(maxsize=256)
def ranking_terms(text: str) -> RankingTerms:
    """Return the terms that rank texts for a query.

    A single character of an unspaced script is matched exactly, and so are stop words if
    the query has nothing else.
    """
    found = tokens(text)
    ranking: list[str] = []
    exact: list[str] = []
    for term, parts in ranked(found):
        if parts[0].text not in _STOP_WORDS:
            ranking.append(term)
            if len(parts) == 1 and parts[0].joined is not None:
                exact.append(term)
    return RankingTerms(ranking, exact if ranking else [token.text for token in found])


def phrase_terms(text: str) -> str:
    """Return a word or phrase as it is in the exact column; empty if it has no words."""
    return " ".join(_exact(tokens(text)))


def ranked(found: Sequence[Token]) -> Iterator[tuple[str, tuple[Token, ...]]]:
    """Yield the ranking terms with their tokens: stems, and pairs of joined characters."""
    last = len(found) - 1
    for place, token in enumerate(found):
        if token.joined is None:
            yield stem(token.text), (token,)
        elif place < last and found[place + 1].joined:
            yield token.text + found[place + 1].text, (token, found[place + 1])
        elif not token.joined:
            yield token.text, (token,)


def places(
    text: str, wanted: Set[str], similar: Callable[[Token], str | None] | None = None
) -> list[Place]:
    """Return the places of the ranking terms of a text that are in `wanted`, in order.

    A single character of an unspaced script is found within each pair. Other words are found if
    `similar` returns a name for them.
    """
    if similar is not None or "\n" in text:
        return _places(_terms(text), wanted, similar)
    found = []
    if not text.isascii():
        for start, end in _not_ascii(text):
            terms = (_piece if end - start <= _SHORT else _terms)(text[start:end])
            found += [Place(start + a, start + b, term) for a, b, term in _places(terms, wanted)]
            text = text[:start] + " " * (end - start) + text[end:]
    lower = text.lower()
    for word in _stemmed.having(set(_ASCII_WORD.findall(lower)), wanted):
        term = stem(word)
        found += [Place(at, at + len(word), term) for at in _occurrences(lower, word)]
    return sorted(found)


class _Stemmed:
    """The words that were stemmed so far, by stem, up to `most`. Safe to use from several threads.

    A passage has a hundred words, of which a query concerns a few.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: tuple[set[str], dict[str, set[str]]] = set(), {}

    def having(self, words: set[str], stems: Set[str]) -> set[str]:
        """Return the words that have one of `stems`."""
        every, by_stem = self._known
        for word in words - every:
            by_stem.setdefault(stem(word), set()).add(word)
            every.add(word)
        if len(every) > self._most:
            self._known = set(), {}
        return {word for one in stems for word in words & by_stem.get(one, set())}


_stemmed = _Stemmed(1 << 17)


def _terms(text: str) -> list[tuple[str, tuple[Token, ...]]]:
    return list(ranked(tokens(text)))


_piece = lru_cache(maxsize=1 << 14)(_terms)


def _places(
    terms: Iterable[tuple[str, tuple[Token, ...]]],
    wanted: Set[str],
    similar: Callable[[Token], str | None] | None = None,
) -> list[Place]:
    """Do what `places` does, by ranking terms with their tokens."""
    found = []
    for term, parts in terms:
        for name, span in [(term, parts), *((part.text, (part,)) for part in parts)]:
            if name in wanted and (span is parts or parts[0].joined is not None):
                found.append(Place(span[0].start, span[-1].end, name))
                break
        else:
            token = parts[0]
            if similar is not None and (like := similar(token)) is not None:
                found.append(Place(token.start, token.end, like))
    return found


def _not_ascii(text: str) -> Iterator[tuple[int, int]]:
    """Yield the parts between spaces that have other characters than ASCII."""
    end = -1
    for other in _NOT_ASCII.finditer(text):
        if other.start() > end:
            start = text.rfind(" ", 0, other.start()) + 1
            end = text.find(" ", other.end())
            end = len(text) if end < 0 else end
            yield start, end


def _occurrences(lower: str, word: str) -> Iterator[int]:
    """Yield where a word begins in a text of ASCII."""
    at = lower.find(word)
    while at >= 0:
        end = at + len(word)
        if not (lower[at - 1 : at].isalnum() or lower[end : end + 1].isalnum()):
            yield at
        at = lower.find(word, end)


def _exact(found: Sequence[Token]) -> Iterator[str]:
    previous: bool | None = None
    for token in found:
        if token.joined is False and previous is not None:
            yield _BREAK
        yield token.text
        previous = token.joined


def _joins(text: str, end: int, start: int) -> bool:
    """Return whether a run continues after the line break between `end` and `start`.

    Lines of Chinese, Japanese or Thai are wrapped within words, lines of Korean are not.
    """
    gap = text[end:start]
    around = text[end - 1] + text[start]
    return not gap or ("\n" in gap and gap.isspace() and not _HANGUL.search(around))


def _digit(character: str) -> str:
    if character.isascii() or not character.isdecimal():
        return character
    return str(unicodedata.decimal(character))


@lru_cache(maxsize=1 << 16)
def _words(run: str) -> tuple[str, ...]:
    """Return the words of a run. A compatibility character such as ½ can be two."""
    return tuple(word for word in _SEPARATORS.split(fold(run)) if word)


@lru_cache(maxsize=1 << 15)
def _units(grapheme: str) -> tuple[str, ...]:
    """Return the characters of a folded grapheme; more than one for the Thai vowel AM."""
    return tuple(_GRAPHEME.findall(fold(grapheme)))


@lru_cache(maxsize=1 << 12)
def _symbol(symbol: str) -> tuple[str, ...]:
    """Return the words of a symbol such as ™ or ㎏; a pictograph is a word itself."""
    folded = fold(symbol)
    if folded != symbol:
        return tuple(token.text for token in tokens(folded))
    return (symbol,) if _PICTOGRAPH.match(symbol) else ()
