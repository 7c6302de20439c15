"""Any line is parsed, or refused with its place; written out again, it parses alike."""

import contextlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trawl.errors import FilterError, QueryError
from trawl.query import MAX_QUERY_LENGTH, bind, parse_query, to_sql
from trawl.query.clauses import Choice, Condition, Excluded, MediaPart, TextPart, Word

COLUMNS = {"k": "text", "year": "integer", "tags": "texts", "taken": "date", "open": "boolean"}
PIECES = [
    *'"“”()\\^~+-:.,*<>=! \t\nab1é日😀\x00\u200b\u0301',
    "..",
    "^2",
    "^0.5",
    "~1",
    "~2",
    "k:",
    "year:",
    "tags:",
    "taken:2024-0",
    "open:true",
    '"k":',
    "k:(a,",
    "image:",
    "-image:x ",
    "text:",
    "like:",
    "has:",
    "modality:image",
    "http://",
    "muon ",
    " decay",
    ' "a b"',
    " (a b)",
    " -(",
    ' +"',
    "\\:",
    "k\\:",
    "k\\:~ ",
    "\ud800",
]
LINES = st.one_of(
    st.text(max_size=40),
    st.text('"()\\^~+-:.,*>= aK1', max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=24).map("".join),
)


def quoted(text):
    return '"' + re.sub(r'([\\"])', r"\\\1", text) + '"'


def escaped(text):
    return re.sub(r"([^\w\s]|_)", r"\\\1", text)


def weighted(part, weight):
    return f"{'-' if weight < 0 else ''}{part}^{abs(weight):.6f}"


def written(clause):
    """Write a clause as a query, with quotes or backslashes wherever they are allowed."""
    match clause:
        case Word(text, "plain"):
            return escaped(text)
        case Word(text, "fuzzy", distance):
            return f"{escaped(text)}~{distance}"
        case Word(text, mark):
            return ("+" if mark == "required" else "") + quoted(text)
        case TextPart((Word(_, "required") as word,), weight):
            return weighted(written(word), weight)
        case TextPart(words, weight):
            return weighted(f"({' '.join(map(written, words))})", weight)
        case MediaPart(kind, value, weight):
            return weighted(f"{kind}:{quoted(value)}", weight)
        case Excluded(text):
            return f"-{quoted(text)}"
        case Choice(modality, negated):
            return f"{'-' if negated else ''}modality:{modality}"
        case Condition(key, op, values, negated):
            sign = "-" if negated else ""
            texts = [quoted(value) for value in values]
            match op:
                case "exists":
                    return f"{sign}has:{quoted(key)}"
                case "in":
                    return f"{sign}{quoted(key)}:({', '.join(texts)})"
                case "range":
                    return f"{sign}{quoted(key)}:{texts[0]}..{texts[1]}"
                case "contains":
                    return f"{sign}{quoted(key)}:*{escaped(values[0])}*"
                case _:
                    return f"{sign}{quoted(key)}:{op}{texts[0]}"


@settings(max_examples=600, deadline=None)
@given(LINES)
def test_any_line_is_read_or_refused(line):
    try:
        query = parse_query(line)
    except QueryError as error:
        message = str(error)
        place = re.match(r"query, character (\d+): .", message)
        if place is not None:
            assert 1 <= int(place[1]) <= len(line) + 1
            assert message.count("\n") == 3
            assert "^" in message.split("\n")[2]
        else:
            assert not line.strip()
        return
    assert all(0 < abs(term.weight) <= 100 and term.value.strip() for term in query.terms)
    assert not query.terms or any(term.weight > 0 for term in query.terms)
    assert all(distance in (1, 2) for _, distance in query.fuzzy)
    marked = [*query.required, *query.excluded, *query.phrases, *(w for w, _ in query.fuzzy)]
    assert all(word == " ".join(word.split()) != "" for word in marked)
    words = " ".join(term.value for term in query.terms if term.kind == "text" and term.weight > 0)
    for word in (*query.required, *query.phrases):
        assert word in words
    again = " ".join(map(written, query.clauses))
    if len(again) <= MAX_QUERY_LENGTH:
        assert parse_query(again) == query
    for clause in query.clauses:
        if isinstance(clause, MediaPart):
            alone = parse_query(f"muon {line[slice(*clause.place)]}").clauses
            assert alone == (Word("muon"), clause)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
def test_any_condition_is_bound_or_refused(line):
    try:
        where = parse_query(f"muon {line}").where
    except QueryError:
        return
    if where is None:
        return
    try:
        bound = bind(where, COLUMNS)
    except FilterError as error:
        first, _, carets = str(error).split("\n")
        place = re.match(r"query, character (\d+): .", first)
        assert place is not None
        assert 1 <= int(place[1]) <= len(line) + 5
        assert "^" in carets
        return
    assert to_sql(bound, lambda key: key)


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_any_text_can_be_searched_in_quotes(text):
    quoted = re.sub(r'([\\"])', r"\\\1", text)
    words = " ".join(text.split())
    if not words:
        with pytest.raises(QueryError):
            parse_query(f'"{quoted}"')
        return
    assert parse_query(f'"{quoted}"').phrases == (words,)


@pytest.mark.parametrize("start", ["", '"', "“", "(", "(f(", "k:", "k:(", 'k:"', "k:*", "-a "])
@pytest.mark.parametrize(
    "unit",
    [*'()"\\^~-+*1', "\\(", "~1", "a:", "..", "f(x) ", '"a" ', "k:a.. ", "a(", "(f(x) ", "x^2 "],
)
def test_the_worst_long_lines_are_parsed_in_no_time(start, unit):
    line = (start + unit * MAX_QUERY_LENGTH)[:MAX_QUERY_LENGTH]
    started_s = time.process_time()
    with contextlib.suppress(QueryError):
        parse_query(line)
    assert time.process_time() - started_s < 0.5
