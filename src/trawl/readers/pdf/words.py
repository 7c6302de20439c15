"""Clean the text of lines, and join words that are divided at the end of a line."""

from __future__ import annotations

import re
import unicodedata

_ACCENTS = {
    "´": "\u0301",
    "ˋ": "\u0300",
    "¨": "\u0308",
    "ˆ": "\u0302",
    "˜": "\u0303",
    "ˇ": "\u030c",
    "˘": "\u0306",
    "˙": "\u0307",
    "¯": "\u0304",
    "˚": "\u030a",
    "˝": "\u030b",
}
_ACCENTED = re.compile(f"([{''.join(_ACCENTS)}])([A-Za-zı])")
_ALONE = str.maketrans({"´": "'", "¨": '"', "˜": "~", "ˆ": "^", "¯": "-", "¸": ","})
_UNSEEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]"
)
_HYPHENS = "-\u2010\u2011"
_WORD = re.compile(r"[^\W\d_]+(?:[-\u2010\u2011][^\W\d_]+)*")
_LAST = re.compile(rf"([^\W\d_]+(?:[-\u2010\u2011][^\W\d_]+)*)[{_HYPHENS}]$")
_FIRST = re.compile(r"[^\W\d_]+")

_COMPOUND = re.compile(
    "all|best|cross|ever|far|full|half|high|ill|large|left|long|low|mid|more|most|much|near|one|open|"
    "out|right|self|short|single|small|so|state|ten|three|time|two|user|well|wide"
)
"""Words that a hyphen usually follows. `non-` and the like are also written without."""

_MAX_WORDS = 200_000


def clean(text: str) -> str:
    """Return a text in Unicode form NFKC, without control characters.

    Ligatures become letters, and an accent in front of its letter, as TeX writes it, is put on it.
    """
    if text.isascii():
        return " ".join(_UNSEEN.sub("", text).split())
    text = _ACCENTED.sub(_accented, text).translate(_ALONE)
    return " ".join(_UNSEEN.sub("", unicodedata.normalize("NFKC", text)).split())


def _accented(match: re.Match[str]) -> str:
    letter = "i" if match[2] == "ı" else match[2]
    return letter + _ACCENTS[match[1]]


class Vocabulary:
    """The words of the part of a document that has been read."""

    def __init__(self) -> None:
        self._words: set[str] = set()

    def add(self, text: str) -> None:
        """Add the words of a line, without the one that is divided at its end."""
        if len(self._words) < _MAX_WORDS:
            self._words.update(_WORD.findall(_LAST.sub("", text).lower()))

    def joined(self, text: str, following: str) -> tuple[str, str]:
        """Return a line without its hyphen if it divides a word, and what separates the next.

        A hyphen is kept in front of a capital or a digit, and if the document, or usage, has it
        in the middle of a line.
        """
        if text[-1:] not in _HYPHENS or not text[-2:-1].isalnum():
            return text, " "
        divided, rest = _LAST.search(text), _FIRST.match(following)
        if divided is None or rest is None:
            return text, ""
        before, after = divided[1].lower(), rest[0].lower()
        if before + after in self._words:
            return text[:-1], ""
        if not rest[0][0].islower():
            return text, ""
        first, _, last = before.rpartition("-")
        third = following[rest.end() : rest.end() + 1] in (*_HYPHENS,)  # bag-of-words
        if f"{before}-{after}" in self._words or first or third or _COMPOUND.fullmatch(last):
            return text, ""
        return text[:-1], ""
