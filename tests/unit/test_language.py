"""The query language: what parses, what is refused, and the place that errors point at."""

import datetime
import re
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from trawl.errors import FilterError, QueryError
from trawl.query import (
    MAX_QUERY_LENGTH,
    MAX_TERMS,
    And,
    Comparison,
    Contains,
    Exists,
    Not,
    OneOf,
    Or,
    Term,
    Untyped,
    bind,
    grammar,
    matches,
    parse_filter,
    parse_query,
    to_sql,
)

TERMS = {
    "muon decay signature": [("text", "muon decay signature", 1)],
    "  muon \n\t decay  ": [("text", "muon decay", 1)],
    "muon^2": [("text", "muon", 2)],
    "muon^.5 decay": [("text", "muon", 0.5), ("text", "decay", 1)],
    "(muon decay)^0.5": [("text", "muon decay", 0.5)],
    "(muon decay) cosmic": [("text", "muon decay", 1), ("text", "cosmic", 1)],
    '"exact words"^2': [("text", "exact words", 2)],
    '("exact words" here)^100': [("text", "exact words here", 100)],
    "image:plot.png^0.5": [("image", "plot.png", 0.5)],
    'audio:"my  siren.wav"': [("audio", "my  siren.wav", 1)],
    "like:doc-1:3^0.7": [("like", "doc-1:3", 0.7)],
    "muon -image:x.png": [("text", "muon", 1), ("image", "x.png", -1)],
    "muon -image:x.png^2": [("text", "muon", 1), ("image", "x.png", -2)],
    "muon -(cosmic rays)^0.5": [("text", "muon", 1), ("text", "cosmic rays", -0.5)],
    "muon -text:cosmic": [("text", "muon", 1), ("text", "cosmic", -1)],
    'muon -text:"cosmic rays"^0.25': [("text", "muon", 1), ("text", "cosmic rays", -0.25)],
    "text:Na:K": [("text", "Na:K", 1)],
    r"image:C:\plots\muon.png": [("image", r"C:\plots\muon.png", 1)],
    "image:https://example.org/a(1).png": [("image", "https://example.org/a(1).png", 1)],
    "muon image:x.png decay": [("text", "muon decay", 1), ("image", "x.png", 1)],
    "muon year:2020 decay": [("text", "muon decay", 1)],
    'muon +decay "mean life" fuzy~': [("text", "muon decay mean life fuzy", 1)],
    "muon -cosmic": [("text", "muon", 1)],
    "year:2020": [],
}

WORDS = [
    "12:30",
    "http://x.org/a?b=c&d#e",
    "std::string",
    "note: this",
    "C++ f(x, y) = 3",
    "muon - decay",
    "A -> B",
    "cat --help",
    "+/- 3",
    "don't",
    "10,000 km/h",
    ":-D",
    "a~b ~5",
    r"\mu \alpha",
    r"C:\temp",
    "Muon OR tau",
    "日本 😀 مرحبا",
]

ESCAPED = {
    r"Na\:K": "Na:K",
    r"\-5 \+1": "-5 +1",
    r"10\^5": "10^5",
    r"a\~1": "a~1",
    r"\(a b\)": "(a b)",
    r"5\" disk": '5" disk',
    r"back\\slash": r"back\slash",
    r"image\: x": "image: x",
}


@pytest.mark.parametrize(("line", "terms"), TERMS.items(), ids=TERMS)
def test_terms(line, terms):
    assert list(parse_query(line).terms) == [Term(*term) for term in terms]


@pytest.mark.parametrize("line", WORDS)
def test_words_that_are_no_signs_stay_words(line):
    query = parse_query(line)
    assert query.terms == (Term("text", line),)
    assert (query.required, query.excluded, query.phrases, query.fuzzy) == ((), (), (), ())
    assert query.where is None
    assert query.modalities == frozenset()


@pytest.mark.parametrize(("line", "text"), ESCAPED.items(), ids=ESCAPED)
def test_a_backslash_makes_a_sign_a_character(line, text):
    assert parse_query(line).terms == (Term("text", text),)


def test_marks():
    query = parse_query(
        'muon +decay +"mean  life" -cosmic -"ray \\"bursts\\"" "two neutrinos" '
        "siren~ electron~ tau~2 (near~1 W)^2 +W^3 “curly quotes”, +decay"
    )
    assert query.required == ("decay", "mean life", "W")
    assert query.excluded == ("cosmic", 'ray "bursts"')
    assert query.phrases == ("two neutrinos", "curly quotes")
    assert query.fuzzy == (("siren", 1), ("electron", 2), ("tau", 2), ("near", 1))
    assert query.terms == (
        Term(
            "text",
            "muon decay mean life two neutrinos siren electron tau curly quotes decay",
        ),
        Term("text", "near W", 2),
        Term("text", "W", 3),
    )


def test_quotes_behind_a_minus_are_no_phrase():
    assert parse_query('muon -("cosmic rays" far)').phrases == ()


WHERE = {
    "year:2020": Untyped("year", "=", "2020"),
    "year:=2020": Untyped("year", "=", "2020"),
    "year:>=2020": Untyped("year", ">=", "2020"),
    "year:<2020": Untyped("year", "<", "2020"),
    "mass:-2.5": Untyped("mass", "=", "-2.5"),
    "year:2019..2021": And((Untyped("year", ">=", "2019"), Untyped("year", "<=", "2021"))),
    "year:2019..": Untyped("year", ">=", "2019"),
    "year:..2021": Untyped("year", "<=", "2021"),
    'w:"a b".."c d"': And((Untyped("w", ">=", "a b"), Untyped("w", "<=", "c d"))),
    'w:a.."c d"': And((Untyped("w", ">=", "a"), Untyped("w", "<=", "c d"))),
    'source:"two words"': Untyped("source", "=", "two words"),
    'source:""': Untyped("source", "=", ""),
    "source:(arXiv,CERN)": Or((Untyped("source", "=", "arXiv"), Untyped("source", "=", "CERN"))),
    'source:(New  York , "a, b")': Or(
        (Untyped("source", "=", "New York"), Untyped("source", "=", "a, b"))
    ),
    "-source:CERN": Not(Untyped("source", "=", "CERN")),
    "+source:CERN": Untyped("source", "=", "CERN"),
    "title:*muon*": Untyped("title", "contains", "muon"),
    "has:doi": Exists("doi"),
    "doi:*": Exists("doi"),
    "-has:doi": Not(Exists("doi")),
    'has:"a b"': Exists("a b"),
    '"a b":3': Untyped("a b", "=", "3"),
    '-"a b":>3': Not(Untyped("a b", ">", "3")),
    '"text":x': Untyped("text", "=", "x"),
    "a.b-c_d:x": Untyped("a.b-c_d", "=", "x"),
    "time:12:30": Untyped("time", "=", "12:30"),
    "path:/data/x": Untyped("path", "=", "/data/x"),
    r"rank:10\^5": Untyped("rank", "=", "10^5"),
    "year:2020 has:doi": And((Untyped("year", "=", "2020"), Exists("doi"))),
}


@pytest.mark.parametrize(("line", "where"), WHERE.items(), ids=WHERE)
def test_conditions(line, where):
    assert parse_query(f"muon {line} decay").where == where
    assert parse_query(line).where == where


COLUMNS = {
    "year": "integer",
    "mass": "real",
    "source": "text",
    "open": "boolean",
    "taken": "date",
    "tags": "texts",
}
DOCUMENT = {
    "year": 2020,
    "mass": 2.5,
    "source": "arXiv",
    "open": True,
    "taken": datetime.date(2024, 2, 29),
    "tags": ["physics", "x"],
}
HOLDS = [
    "year:2020",
    "year:2020.0",
    "year:2020..2020",
    "year:(2019,2020)",
    "year:>=2020",
    "-year:2019",
    "mass:>2",
    "mass:2.5e0",
    "source:arXiv",
    "source:*rXi*",
    "source:>=a",
    "open:true",
    "open:YES",
    "-open:no",
    "taken:2024-02-29",
    "taken:2024-02",
    "taken:2024",
    "taken:>=2024-02",
    "taken:<=2024-02",
    "taken:<2024-03",
    "taken:>2023",
    "taken:2024-01..2024-02",
    "tags:physics",
    "tags:(art,physics)",
    "-tags:art",
    "has:tags",
]
FAILS = [
    "year:2021",
    "year:..2019",
    "-has:year",
    "source:arxiv",
    "source:arX",
    "open:false",
    "taken:2023",
    "taken:>2024",
    "taken:>2024-02",
    "taken:<2024-02",
    "tags:phys",
    "-tags:physics",
]


@pytest.mark.parametrize("line", HOLDS)
def test_conditions_that_hold(line):
    bound = bind(parse_query(line).where, COLUMNS)
    assert matches(bound, DOCUMENT)
    assert to_sql(bound, lambda key: key)


@pytest.mark.parametrize("line", FAILS)
def test_conditions_that_do_not_hold(line):
    assert not matches(bind(parse_query(line).where, COLUMNS), DOCUMENT)


def test_a_number_is_text_where_the_column_is_text():
    bound = bind(parse_query("code:007").where, {"code": "text"})
    assert bound == Comparison("code", "=", "007")


def test_a_typed_filter_is_bound_as_before():
    assert bind(parse_filter("tags contains 'x'"), COLUMNS) == Contains("tags", "x", item=True)
    assert bind(OneOf("year", (1,)), COLUMNS) == OneOf("year", (1,))


UNBOUND = {
    "year:abc": '"year" is a number, and "abc" is not',
    "year:nan": "a number",
    "open:perhaps": "true or false",
    "open:>true": "compare it with = or !=",
    "taken:2024-13": "a date",
    "taken:2023-02-29": "taken:2024-05-01",
    "taken:0000": "a date",
    "tags:>physics": "no order",
    "tags:*phys*": "whole items",
    "year:*20*": "has no parts to contain",
    "yaer:2020": 'did you mean "year"',
    "Na:K": r"write Na\: or put it in quotes",
}


@pytest.mark.parametrize(("line", "message"), UNBOUND.items(), ids=UNBOUND)
def test_conditions_that_fit_no_column(line, message):
    with pytest.raises(FilterError) as caught:
        bind(parse_query(line).where, COLUMNS)
    assert message in str(caught.value)


def test_an_unbound_condition_cannot_be_evaluated():
    with pytest.raises(ValueError, match="bind"):
        matches(Untyped("a", "=", "b"), {})
    with pytest.raises(ValueError, match="bind"):
        to_sql(Untyped("a", "=", "b"), str)


@pytest.mark.parametrize(
    ("line", "modalities"),
    [
        ("muon", set()),
        ("muon modality:image", {"image"}),
        ("modality:image modality:audio", {"image", "audio"}),
        ("-modality:text", {"image", "audio"}),
        ("modality:image modality:text -modality:text", {"image"}),
    ],
)
def test_modalities(line, modalities):
    assert parse_query(line).modalities == modalities


# line, what stands under the carets, and a piece of the message
REFUSED = [
    ('muon "decay', '"', "not closed"),
    ("muon (decay", "(", "not closed"),
    ("muon f(x", "(", "not closed"),
    ("muon (f(x decay)", "(", "not closed"),
    ("muon decay)", ")", "closes nothing"),
    ("muon ()", "()", "nothing stands between these parentheses"),
    ('muon ""', '""', "nothing stands between these quotes"),
    ("muon ((a) b)", "(", "do not nest"),
    ("muon (a -b)", "-", "outside"),
    ("muon (a year:2020)", "year:", "outside"),
    ("muon (a^2 b)", "a^2", "behind the parenthesis"),
    ('muon ("a b"^2 c)', "^2", "no weight here"),
    ("muon (a)b", "b", "a space is missing"),
    ('muon "a"b', "b", "a space is missing"),
    ('5" disk', '"', 'write \\" for the sign itself'),
    ("muon^", "^", "a number must follow ^"),
    ("muon^two", "^two", 'not "two"'),
    ("muon^-1", "^-1", "a minus stands before the part"),
    ("muon^0", "^0", "more than 0"),
    ("muon^101", "^101", "at most 100"),
    ("muon^1e1", "^1e1", "a number"),
    ("(a b)^nan", "^nan", "a number"),
    ("^2", "^2", "nothing stands before ^"),
    ("muon~3", "~3", "1 or 2 letters, not 3"),
    ("muon~0.8", "~0.8", "1 or 2"),
    ("+muon~", "+muon~", "not fuzzy"),
    ("muon -decay~", "-decay~", "omit ~"),
    ("muon -(decay~)", "-(decay~)", "omit ~"),
    ("muon -decay^2", "-decay^2", "-(words)^0.5 moves away"),
    ("muon +(a b)", "+(", "each required word has its own +"),
    ("muon +image:x.png", "+image:", "takes no +"),
    ("muon image: x.png", "image:", "nothing stands directly behind"),
    ('muon image:""', '""', "nothing stands behind image:"),
    ("muon image:^2", "^2", "nothing stands behind image:"),
    ("muon modality:video", "video", "there are: text, image, audio"),
    ("muon year:>=", "year:>=", "a value is missing: year:2020"),
    ("muon year:>= 2020", "year:>=", "a value is missing"),
    ("muon year:>>2", "year:>", "a value is missing"),
    ("muon year:..", "year:..", "a value is missing"),
    ("muon year:1...3", ".", "two dots"),
    ("muon year:>1..3", "..", "a range stands alone"),
    ("muon year:!=3", "!", "-year:value"),
    ("muon year:2020^2", "^2", "a condition has no weight"),
    ("muon title:mu*", "mu*", "both ends"),
    ("muon source:(a,,b)", "a value is missing", "a value is missing"),
    ("muon source:()", "", "a value is missing"),
    ("muon source:(a", "(", "not closed"),
    ('muon source:("a" b)', "b", "commas stand between"),
    ('muon "a b": c', '"a b":', "a value is missing"),
    ('muon "":c', '"":', "key is empty"),
    ("-cosmic", "-cosmic", "only excludes"),
    ("year:2020 -(cosmic rays)", "-(cosmic rays)", "only excludes"),
    ("-(cosmic rays)^2", "-(cosmic rays)^2", "only excludes"),
    ("-image:x.png", "-image:x.png", "only excludes"),
    ("muon modality:text -modality:text", "-modality:text", "no modality is left"),
    ("muon^1000", "^1000", "at most 100"),
    ("muon^0.1234567", "^0.1234567", "a number"),
    ("muon \ud800", "\ud800", "not a Unicode character"),
]


@pytest.mark.parametrize(("line", "under", "message"), REFUSED, ids=[ascii(r[0]) for r in REFUSED])
def test_errors_point_at_the_place(line, under, message):
    with pytest.raises(QueryError) as caught:
        parse_query(line)
    first, shown, carets, allowed = str(caught.value).split("\n")
    assert message in first
    assert allowed.startswith("allowed: ")
    start = len(carets) - len(carets.lstrip())
    assert first.startswith(f"query, character {start - 1}: ")
    if under in line and under:
        where = line.rindex(under) if under != "(" else start - 2
        assert (start - 2, carets.count("^")) == (where, len(under))
        assert "\ud800" in under or shown[start : start + len(under)] == under


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("x" * (MAX_QUERY_LENGTH + 1), "4,001 characters; the maximum is 4,000"),
    ],
)
def test_empty_and_overlong_lines_are_refused(line, message):
    with pytest.raises(QueryError, match=message):
        parse_query(line)


def test_limits():
    many = " ".join(f"w{i}" for i in range(700))
    assert parse_query(many).terms == (Term("text", many),)
    assert len(parse_query(" ".join(["+a"] * MAX_TERMS)).clauses) == MAX_TERMS
    for over in (" ".join(["+a"] * (MAX_TERMS + 1)), f"k:({','.join('a' * (MAX_TERMS + 1))})"):
        with pytest.raises(QueryError, match="at most 50 terms"):
            parse_query(over)


def test_the_examples_of_the_documentation_parse():
    query = parse_query("muon +decay -cosmic image:plot.png^0.5 year:>=2020 modality:image")
    assert query.terms == (Term("text", "muon decay"), Term("image", "plot.png", 0.5))
    assert (query.required, query.excluded) == (("decay",), ("cosmic",))
    assert query.modalities == {"image"}
    page = (Path(__file__).parents[2] / "docs" / "queries.md").read_text("utf-8")
    tables = page.split("## When a sign")[0].splitlines()
    cells = [line.split(" | ")[0] for line in tables if line.startswith("| `")]
    examples = [each for cell in cells for each in re.findall(r"`([^`]+)`", cell)]
    assert len(examples) > 40
    for example in examples:
        assert parse_query(f"muon {example}") != parse_query("muon")


def test_a_damaged_table_file_is_rebuilt(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    tables = Path(cache_from_source(str(Path(grammar.__file__).with_name("line_lark.py"))))
    tables = tables.with_suffix(".tables")
    tables.parent.mkdir(parents=True)
    for damaged in (None, b"", b"damaged\n\x80"):
        if damaged is not None:
            tables.write_bytes(damaged)
        grammar.parser.cache_clear()
        assert parse_query("muon -cosmic").excluded == ("cosmic",)
        assert tables.stat().st_size > 10_000
    grammar.parser.cache_clear()
    assert parse_query("muon -cosmic").excluded == ("cosmic",)
