"""Find citations of figures and tables in text, and link them to what they cite.

A citation is "Figures 1 and 2", "Fig. 6B", "Tables III and IV", "Supplementary Fig. S2" and the
like, in English and in common forms of other languages. Only a number that is the label of a
figure or table in the same document becomes a link, so an unlikely reading of a text is harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from trawl.types import Link, Modality, Span

_KINDS = {
    "figure": r"figures?|figs?\.?|abbildung(?:en)?|abb\.?|bild(?:er)?|figuras?|figuren|figuur|"
    r"рисун(?:ок|ка|ке|ки|ках)|рис\.?|[図图圖]",
    "table": r"tables?|tabs?\.|tabellen?|tablas?|tabelas?|tableaux?|tabell[ae]|tabel|"
    r"таблиц[аеыу]?|табл\.?|[表]",
    "scheme": r"schemes?|schéma|esquemas?",
    "chart": r"charts?|diagramm?e?",
    "plate": r"plates?|tafeln?|planches?",
    "box": r"box(?:es)?",
    "algorithm": r"algorithms?|alg\.|algorithmus",
    "listing": r"listings?",
}
_WORD = re.compile(
    r"(?<![A-Za-z\d-])(?:(?P<extra>suppl(?:ement(?:ary|al)?|\.)?|supp\.|extended\s+data)\s+)?(?:"
    + "|".join(f"(?P<{kind}>{words})" for kind, words in _KINDS.items())
    + r")\s*(?=(?-i:[\dA-Z]))",
    re.IGNORECASE,
)
_PLURAL = re.compile(
    r"figs\.?|(?:figure|table|scheme|chart|plate|algorithm|listing|figura|tabla|tabela)s|boxes|"
    r"abbildungen|bilder|figuren|tabellen|tafeln|tableaux|рисунк(?:и|ах)|таблицы",
    re.IGNORECASE,
)
# 12, 3.1, S2, B.1, ED3, III; not "1,000", "2019" or "3 %".
_NUMBER = re.compile(
    r"(?:(?P<letters>[A-Z]{0,2})\.?(?P<digits>\d{1,3}(?:\.\d{1,3})*)(?![\d%]|,\d{3}|\s%)"
    r"|(?P<roman>[IVX]{1,6})(?![A-Za-z\d]))"
)
_PARTS = re.compile(
    # B, (a), (a, b), (i)
    r"(?:\s?\([a-z](?:[\s,–-]+[a-z])*\)|[A-Za-z](?![A-Za-z\d]))"
    # "6B and C", "3(a)–(c)", "2A,C"
    r"(?:\s*(?:[,–—-]|and|&|to|und|y|et|e)\s*(?:\([a-z]\)|[A-Z](?![\w.])|[a-z](?![\w.'])))*"
)
_RANGE = re.compile(r"\s*[–—-]\s*|\s+(?:to|through|bis|à)\s+")
_AND = re.compile(r",?\s+(?:and|or|und|oder|et|ou|y|o|e|и)\s+|\s*&\s*")
_COMMA = re.compile(r"\s*[,;、]\s*")
_CLOSED = re.compile(r"\s*[)\]]")
_LONGEST_RANGE = 30
_ROMAN = {"I": 1, "V": 5, "X": 10}


class Reference(NamedTuple):
    """A cited figure or table: "figure" and "2", "S2", "B1" or "III"."""

    kind: str
    number: str


class Part(Protocol):
    """A chunk that may cite others, or be cited."""

    modality: Modality
    span: Span
    text: str
    label: str


def references(text: str) -> Iterator[Reference]:
    """Yield the figures and tables that a text cites, in order, with repetitions."""
    for word in _WORD.finditer(text):
        kind = next(name for name in _KINDS if word[name])
        extra = (word["extra"] or "").lower()
        prefix = "ED" if extra.startswith("e") else "S" if extra else ""
        many = _PLURAL.fullmatch(word[kind]) is not None
        for number in _numbers(text, word.end(), many=many):
            yield Reference(kind, number if number[0].isalpha() else prefix + number)


def reference_of(label: str) -> Reference | None:
    """Return what a label stands for, or None if it has no number."""
    return next(references(label), None)


def _numbers(text: str, at: int, *, many: bool) -> Iterator[str]:
    """Yield the numbers of a list at `at`; after a singular word, unlikely ones are left out."""
    found = _NUMBER.match(text, at)
    while found is not None:
        number = _name(found)
        parts = _PARTS.match(text, found.end())
        at = parts.end() if parts else found.end()
        dash = _RANGE.match(text, at)
        last = _NUMBER.match(text, dash.end()) if dash else None
        if dash and last and (many or not dash[0][0].isspace()):
            if not many:
                yield f"{number}-{_name(last)}"  # the number of a figure in a chapter: "1-2"
            yield from _between(number, _name(last))
            parts = _PARTS.match(text, last.end())
            at = parts.end() if parts else last.end()
        else:
            yield number
        found = _next(text, at, many)


def _next(text: str, at: int, many: bool) -> re.Match[str] | None:
    conjunction = _AND.match(text, at)
    comma = None if conjunction else _COMMA.match(text, at)
    separator = conjunction or comma
    found = _NUMBER.match(text, separator.end()) if separator else None
    if found is None or many or conjunction:
        return found
    # "Fig. 3, 4" and "Fig. 3a, 4b", not "In Fig. 3, 20 mice"
    sure = _PARTS.match(text, found.end()) or _CLOSED.match(text, found.end())
    return found if sure else None


def _name(found: re.Match[str]) -> str:
    return str(found["roman"] or found["letters"] + found["digits"])


def _between(first: str, last: str) -> Iterator[str]:
    """Yield the numbers from `first` to `last`; only these two if they do not form a range."""
    if _value(first) is not None and _value(last) is not None and not first[-1].isdigit():
        yield from (_roman(value) for value in _steps(_value(first) or 0, _value(last) or 0))
        return
    head, low = _split(first)
    other, high = _split(last)
    if low is None or high is None or other not in ("", head) or not low < high:
        yield from (first, last)
        return
    yield from (f"{head}{value}" for value in _steps(low, high))


def _steps(low: int, high: int) -> Sequence[int]:
    return range(low, high + 1) if low < high <= low + _LONGEST_RANGE else (low, high)


def _split(number: str) -> tuple[str, int | None]:
    """Split "B.12" into its beginning and its last number."""
    found = re.fullmatch(r"(.*?)(\d+)", number)
    return (found[1], int(found[2])) if found else (number, None)


def _value(number: str) -> int | None:
    """Return the value of a roman number, or None."""
    if not number or set(number) - set(_ROMAN):
        return None
    digits = [_ROMAN[letter] for letter in number]
    return sum(
        -digit if digit < following else digit
        for digit, following in zip(digits, [*digits[1:], 0], strict=True)
    )


def _roman(value: int) -> str:
    tens, ones = divmod(value, 10)
    return "X" * tens + ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")[ones]


def links(document_id: str, parts: Sequence[Part]) -> list[tuple[Link, ...]]:
    """Return the links of each chunk of a document, in order.

    A figure of several chunks with one label is cited by its pictures, or by its first
    passage if it has none. A chunk does not cite its own label.
    """
    labelled = _labelled(parts)
    found: list[list[Link]] = [[] for _ in parts]
    if not labelled:
        return [()] * len(parts)
    for citing, part in enumerate(parts):
        own = reference_of(part.label) if part.label else None
        for reference in dict.fromkeys(references(part.text)):
            if reference == own:
                continue
            for cited in labelled.get(reference, ()):
                found[citing].append(Link("cites", f"{document_id}:{cited}", parts[cited].label))
                found[cited].append(
                    Link("cited_by", f"{document_id}:{citing}", _place(part, citing))
                )
    return [tuple(each) for each in found]


def _labelled(parts: Sequence[Part]) -> dict[Reference, list[int]]:
    """Return the chunks that have each label. A roman one also has the arabic number, if free."""
    found: dict[Reference, list[int]] = {}
    for ordinal, part in enumerate(parts):
        reference = reference_of(part.label) if part.label else None
        if reference is not None and (part.modality != "text" or reference not in found):
            found.setdefault(reference, []).append(ordinal)
    for reference, ordinals in list(found.items()):
        value = _value(reference.number)
        if value is not None:
            found.setdefault(Reference(reference.kind, str(value)), ordinals)
    return found


def _place(part: Part, ordinal: int) -> str:
    """Return where a passage is: its page, its section or its number."""
    if part.span.page is not None:
        return f"page {part.span.page}"
    if part.span.section:
        return part.span.section.rpartition(" › ")[2]
    return f"passage {ordinal + 1}"
