"""A query of one line written back in its normal form."""

from __future__ import annotations

import re

from trawl.query.language_parts import (
    Choice,
    Clause,
    Condition,
    Excluded,
    MediaPart,
    ParsedQuery,
    TextPart,
    Word,
)
from trawl.query.language_scan import FORMS, key_at

# What needs no quotes behind a key or a sign; two dots are a range.
_SIMPLE = re.compile(r"\w[\w.-]*")
_SIMPLE_VALUE = re.compile(r"-?\w[\w.-]*")
_ALWAYS_ESCAPED = re.compile(r'[\\"“”„()^~]')


def format_query(query: ParsedQuery) -> str:
    """The line that `parse_query` reads as `query`, in the normal form.

    Clauses keep their order, one space apart; a part with a weight stands in
    parentheses; what could be a sign is quoted or escaped. The line may be longer
    than the one that was read, and so longer than `parse_query` takes.
    """
    return " ".join(_clause(clause) for clause in query.clauses)


def _clause(clause: Clause) -> str:
    match clause:
        case Word():
            return _word(clause)
        case TextPart((Word(_, "required") as word,), weight):
            return f"{_word(word)}^{_number(weight)}"
        case TextPart(words, weight):
            inside = " ".join(_word(word) for word in words)
            return _weighted(f"({inside})", weight)
        case MediaPart(kind, value, weight):
            return _weighted(f"{kind}:{_text(value)}", weight)
        case Excluded(text):
            return f"-{_text(text)}"
        case Condition():
            return ("-" if clause.negated else "") + _condition(clause)
        case Choice(modality, negated):
            return f"{'-' if negated else ''}modality:{modality}"


def _word(word: Word) -> str:
    match word.mark:
        case "required":
            return f"+{_text(word.text)}"
        case "phrase":
            return _quoted(word.text)
        case "fuzzy":
            distance = f"~{word.distance}"
            return _escaped(word.text, distance) + distance
        case "plain":
            return _escaped(word.text)


def _condition(condition: Condition) -> str:
    values = [_value(value) for value in condition.values]
    key = _key(condition.key)
    match condition.op:
        case "exists":
            return f"has:{_text(condition.key)}"
        case "in":
            return f"{key}:({', '.join(values)})"
        case "range":
            return f"{key}:{values[0]}..{values[1]}"
        case "contains":
            return f"{key}:*{_escaped_value(condition.values[0])}*"
        case "=":
            return f"{key}:{values[0]}"
        case op:
            return f"{key}:{op}{values[0]}"


def _weighted(part: str, weight: float) -> str:
    sign = "-" if weight < 0 else ""
    return f"{sign}{part}" + ("" if abs(weight) == 1 else f"^{_number(abs(weight))}")


def _number(weight: float) -> str:
    return f"{weight:.6f}".rstrip("0").rstrip(".")


def _key(key: str) -> str:
    return key if key_at(f"{key}:x", 0) == key and key not in FORMS else _quoted(key)


def _value(value: str) -> str:
    simple = _SIMPLE_VALUE.fullmatch(value) and ".." not in value and value[-1] != "."
    return value if simple else _quoted(value)


def _text(text: str) -> str:
    return text if _SIMPLE.fullmatch(text) and key_at(f"{text} ", 0) is None else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'([\\"])', r"\\\1", text) + '"'


def _escaped(word: str, behind: str = " ") -> str:
    """A word with a backslash before every sign that could count there, before `behind`."""
    found = _ALWAYS_ESCAPED.sub(r"\\\g<0>", word)
    if found[0] in "+-":
        found = "\\" + found
    key = key_at(found + behind, 0)
    return found if key is None else f"{key}\\:{found[len(key) + 1 :]}"


def _escaped_value(text: str) -> str:
    return re.sub(r'[\\"“”„^.*]', r"\\\g<0>", text)
