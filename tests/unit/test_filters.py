"""Filters: what parses, what is refused, and the place that errors point at."""

import datetime

import lance
import pyarrow as pa
import pytest

from trawl.errors import FilterError
from trawl.query import (
    And,
    Comparison,
    Contains,
    Exists,
    Not,
    OneOf,
    Or,
    bind,
    matches,
    parse_filter,
    parse_query,
    to_sql,
)
from trawl.query.filter import MAX_DEPTH, MAX_LENGTH

DAY = datetime.date(2024, 5, 1)
MIDNIGHT = datetime.datetime(2024, 5, 1)
NOON = datetime.datetime(2024, 5, 1, 12)
LATER = datetime.datetime(2024, 6, 1)
A1 = Comparison("a", "=", 1)
COLUMNS = {
    "year": "integer",
    "mass": "real",
    "source": "text",
    "open": "boolean",
    "taken": "date",
    "tags": "texts",
}

READS = {
    "year >= 2020 and source in ('arXiv', 'CERN')": And(
        (Comparison("year", ">=", 2020), OneOf("source", ("arXiv", "CERN")))
    ),
    "a = 1 or b = 2 and c = 3": Or((A1, And((Comparison("b", "=", 2), Comparison("c", "=", 3))))),
    "(a = 1 or b = 2) and c = 3": And((Or((A1, Comparison("b", "=", 2))), Comparison("c", "=", 3))),
    "not a = 1 and b = 2": And((Not(A1), Comparison("b", "=", 2))),
    "NOT (a = 1 AND b = 2)": Not(And((A1, Comparison("b", "=", 2)))),
    "a <> 1": Comparison("a", "!=", 1),
    "a == 1": A1,
    "1 < a": Comparison("a", ">", 1),
    "a not in (1)": Not(OneOf("a", (1,))),
    "a in (1, )": OneOf("a", (1,)),
    "a between -1 and 2.5": And((Comparison("a", ">=", -1), Comparison("a", "<=", 2.5))),
    "a not between 1 and 2": Not(And((Comparison("a", ">=", 1), Comparison("a", "<=", 2)))),
    "a is null": Not(Exists("a")),
    "a is not null": Exists("a"),
    "title like '%decay%'": Contains("title", "decay"),
    "title not like '%decay%'": Not(Contains("title", "decay")),
    "tags contains 'x'": Contains("tags", "x"),
    "contains(tags, 'x')": Contains("tags", "x"),
    "'x' in tags": Contains("tags", "x"),
    "taken >= date '2024-05-01'": Comparison("taken", ">=", DAY),
    "date = date '2024-05-01'": Comparison("date", "=", DAY),
    "open = true": Comparison("open", "=", True),
    '"a b" = 1': Comparison("a b", "=", 1),
    '"a ""b""" = 1': Comparison('a "b"', "=", 1),
    "a.b.c.d.e.f = 1": Comparison("a.b.c.d.e.f", "=", 1),
    "select = 1 or case = 2 or any = 3": Or(
        (Comparison("select", "=", 1), Comparison("case", "=", 2), Comparison("any", "=", 3))
    ),
    "größe = 1e3": Comparison("größe", "=", 1000.0),
    "s = 'it''s \\ ; -- /* */'": Comparison("s", "=", "it's \\ ; -- /* */"),
    "s = ''": Comparison("s", "=", ""),
    "(a) = (1)": A1,
    "not not a = 1": A1,
    "not (a is null)": Exists("a"),
    "contains = 1 and date = - 2": And(
        (Comparison("contains", "=", 1), Comparison("date", "=", -2))
    ),
    "date contains 'x'": Contains("date", "x"),
    "'x' not in tags": Not(Contains("tags", "x")),
    '"a b".c.or = .5': Comparison("a b.c.or", "=", 0.5),
    "a=1 AND b=2": And((A1, Comparison("b", "=", 2))),
    "a = 1\nand b = 2": And((A1, Comparison("b", "=", 2))),
}


@pytest.mark.parametrize("text", READS)
def test_parses_to_the_tree(text):
    found = parse_filter(text)

    assert found == READS[text]


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        ("year = = 3", 8, '"=" is not expected here'),
        ("a = 1; drop table x", 6, '";" is not allowed'),
        ("a = 1 -- c", 7, "comments are not allowed"),
        ("a /* c */ = 1", 3, "comments are not allowed"),
        ("lower(a) = 'x'", 1, 'no function "lower"'),
        ("a in (select 1)", 14, '"1" is not expected'),
        ("a = (select(1))", 6, 'no function "select"'),
        ("exists(a)", 1, 'no function "exists"'),
        ("contains(a, 'b', 'c')", 16, '"," is not expected'),
        ("a + 1 = 2", 3, '"+" is not allowed'),
        ("pub-date = 2", 4, "no arithmetic"),
        ("a - 1 = 2", 3, "no arithmetic"),
        ("a = - -2", 5, "minus stands before a number"),
        ("a = -'x'", 5, "minus stands before a number"),
        ("a = x", 5, "single quotes: 'x'"),
        ('a = "it\'s"', 5, "single quotes: 'it''s'"),
        ("a = 'x", 5, "quote is not closed"),
        ('"a = 1', 1, "quote is not closed"),
        ("(a = 1", 1, "not closed"),
        ("a = 1)", 6, "closes nothing"),
        ("a in ()", 6, "nothing stands between"),
        ("a = 1 and", 7, 'breaks off after "and"'),
        ("a = null", 1, "write is null"),
        ("a in (1, null)", 10, "null is no value"),
        ("a is true", 6, "only null follows is"),
        ("a like 'x%'", 8, "'%word%' only"),
        ("a like '%x_y%'", 8, "'%word%' only"),
        ("a like '%%'", 8, "'%word%' only"),
        ("a ilike '%x%'", 3, '"ilike" is not expected'),
        ("a", 1, "alone is no condition"),
        ("true", 1, "alone is no condition"),
        ("1 = 1", 1, "needs a key"),
        ("a = b = 1", 7, '"=" is not expected'),
        ("a = 0x1F", 5, '"0x1F" is not a number'),
        ("a = 1 b", 7, '"b" is not expected'),
        ("a = $1", 5, "not allowed"),
        ("a = ?", 5, "not allowed"),
        ("a::int = 1", 2, "not allowed"),
        ("a[0] = 1", 2, "not allowed"),
        ("{a} = 1", 1, "not allowed"),
        ("a = N'x'", 6, 'not expected after "N"'),
        ("a = E'x'", 6, 'not expected after "E"'),
        ("taken = date '2024-02-30'", 14, "no date"),
        ("is = 1", 1, "double quotes"),
        ("a = 1 and (b", 12, "alone is no condition"),
        ("a = 1 and (b = ", 11, "not closed"),
        ("a is", 3, 'breaks off after "is"'),
        ("a in b", 6, "values in parentheses"),
        ("a in 1", 6, "values in parentheses"),
        ("1 in tags", 1, "text in single quotes"),
        ("a like x", 8, "text in single quotes"),
        ("3 is null", 1, 'a key is expected here, not "3"'),
        ("a = 1_000", 5, '"1_000" is not a number'),
        ("a = 1.2.3", 5, '"1.2.3" is not a number'),
        ("a = --2", 5, "comments are not allowed"),
        ("a = ²", 5, "not allowed"),
        ("a = (b = 1)", 8, '"=" is not expected'),
        ("a\x00 = 1", 1, "not allowed"),
    ],
)
def test_points_at_what_it_refuses(text, position, what):
    with pytest.raises(FilterError) as caught:
        parse_filter(text)

    first, line, caret, allowed = str(caught.value).split("\n")
    assert first.startswith(f"filter, character {position}: ")
    assert what in first
    assert caret.index("^") - 2 == position - 1
    assert len(line) == len(text) + 2
    assert allowed.startswith("allowed: ")


def test_long_filter_is_shown_around_the_place():
    text = "a = 1 or " * 60 + "a = = 1" + " or a = 1" * 60

    with pytest.raises(FilterError) as caught:
        parse_filter(text)

    _, line, caret, _ = str(caught.value).split("\n")
    assert len(line) <= 80
    assert line[caret.index("^") - 4 : caret.index("^") + 3] == "a = = 1"


def test_caret_stands_under_wide_characters():
    with pytest.raises(FilterError) as caught:
        parse_filter("日本 = = 3")

    assert str(caught.value).split("\n")[2] == " " * (2 + 7) + "^"


@pytest.mark.parametrize(
    "text",
    [
        "(" * (MAX_DEPTH + 1) + "a = 1" + ")" * (MAX_DEPTH + 1),
        "not " * (MAX_DEPTH + 1) + "a = 1",
        "not (" * (MAX_DEPTH // 2 + 1) + "a = 1" + ")" * (MAX_DEPTH // 2 + 1),
        "(" * 1_900,
        "a in (" * 300,
    ],
)
def test_deep_nesting_is_refused(text):
    with pytest.raises(FilterError, match="nested deeper than 20"):
        parse_filter(text)


def test_depth_and_length_at_the_limit_parse():
    assert parse_filter("(" * MAX_DEPTH + "a = 1" + ")" * MAX_DEPTH) == A1
    wide = " or ".join(["a = 1"] * 220)
    assert len(wide) <= MAX_LENGTH
    assert parse_filter(wide) == Or((A1,) * 220)


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_empty_filter_is_refused(text):
    with pytest.raises(FilterError, match="empty"):
        parse_filter(text)


def test_overlong_filter_is_refused():
    with pytest.raises(FilterError, match="2,001 characters; the maximum is 2,000"):
        parse_filter("a" * (MAX_LENGTH + 1))


def test_bind_coerces_to_the_columns_type():
    found = bind(
        parse_filter(
            "year = 2020.0 and mass > 1 and taken < '2024-05-01' and tags contains 'x' "
            "and source contains 'x' and open != false"
        ),
        COLUMNS,
    )

    assert isinstance(found, And)
    year, mass, taken, tags, source, flag = found.parts
    assert (year.value, type(year.value)) == (2020, int)
    assert (mass.value, type(mass.value)) == (1.0, float)
    assert taken.value == DAY
    assert tags.item
    assert not source.item
    assert flag.value is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("year = 'old'", "\"year\" is an integer, and 'old' is not"),
        ("year = 2020.5", '"year" is an integer, and 2020.5 is not'),
        ("year = true", '"year" is an integer, and true is not'),
        ("year = 9223372036854775808", '"year" is an integer'),
        ("mass = 'heavy'", '"mass" is a real number'),
        ("mass = false", '"mass" is a real number'),
        ("mass < 1e400", "beyond 1.8e308"),
        ("mass < 1" + "0" * 400, "beyond 1.8e308"),
        ("open = 1", '"open" is true or false, and 1 is not'),
        ("open < true", "compare it with = or !=, not <"),
        ("taken = '2024-02-30'", '"taken" is a date'),
        ("taken = '20240501'", '"taken" is a date'),
        ("taken = '2024-05-01 10:00'", '"taken" is a date'),
        ("tags < 'x'", "tags contains 'word'"),
        ("year contains '2'", '"year" is an integer, and has no parts to contain'),
        ("not (year = 1 or year = 'x')", "'x' is not"),
        ("yaer is null", 'no column "yaer"; did you mean "year"? There are: mass, open, source'),
        ("Year = 1", 'did you mean "year"'),
        ("zzzzzz = 1", 'no column "zzzzzz"; there are: mass, open, source, tags, taken, year'),
        ("source = '\udcff'", "not valid Unicode"),
    ],
)
def test_bind_reports_type_errors(text, message):
    with pytest.raises(FilterError) as caught:
        bind(parse_filter(text), COLUMNS)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "text", "matching"),
    [
        ("text", "key = 2021", ["2021", "2021.0"]),
        ("text", "key != 2021", ["10", "n.d.", "NaN", "2024-05-01"]),
        ("text", "key >= 11", ["2021", "2021.0"]),
        ("text", "key in (10, 'n.d.')", ["10", "n.d."]),
        ("text", "key = date '2024-05-01'", ["2024-05-01"]),
        ("texts", "key = 'a'", [["a"], ["a", "4"]]),
        ("texts", "key != 'a'", [["b"], []]),
        ("texts", "key in ('b', 4)", [["a", "4"], ["b"]]),
        ("datetime", "key = '2024-05-01'", [NOON, MIDNIGHT]),
        ("datetime", "key != '2024-05-01'", [LATER]),
        ("datetime", "key > '2024-05-01'", [LATER]),
        ("datetime", "key <= '2024-05-01'", [NOON, MIDNIGHT]),
        ("datetime", "key < '2024-05-01T12:00'", [MIDNIGHT]),
        ("datetime", "key >= '2024-05-01T14:00+02:00'", [NOON, LATER]),
        ("datetime", "key in ('2024-05-01', '2024-06-01T00:00')", [NOON, MIDNIGHT, LATER]),
    ],
)
def test_filters_for_the_type_before_a_column_was_widened(tmp_path, kind, text, matching):
    values = {
        "text": ["2021", "2021.0", "10", "n.d.", "NaN", "2024-05-01"],
        "texts": [["a"], ["a", "4"], ["b"], []],
        "datetime": [NOON, MIDNIGHT, LATER],
    }[kind]
    bound = bind(parse_filter(text), {"key": kind})
    assert [value for value in values if matches(bound, {"key": value})] == matching
    assert not matches(bound, {})
    arrow = {"texts": pa.list_(pa.string()), "datetime": pa.timestamp("us")}.get(kind, pa.string())
    table = pa.table({"key": pa.array([*values, None], arrow)})
    dataset = lance.write_dataset(table, str(tmp_path / "table.lance"))
    assert dataset.to_table(filter=to_sql(bound, str))["key"].to_pylist() == matching


@pytest.mark.parametrize(
    ("line", "matching"),
    [
        ("key:>=11", ["2021", "2024-05-01", "2024-05"]),
        ("key:2021", ["2021"]),
        ("key:>=2024", ["2024-05-01", "2024-05"]),
        ("key:9..11", ["10"]),
        ("key:>m", ["n.d."]),
    ],
)
def test_conditions_of_a_line_order_numbers_in_text_by_value(line, matching):
    values = ["2021", "10", "n.d.", "2024-05-01", "2024-05"]
    bound = bind(parse_query(f"word {line}").where, {"key": "text"})
    assert [value for value in values if matches(bound, {"key": value})] == matching


def test_bind_without_columns_says_so():
    with pytest.raises(FilterError, match="nothing in this library has metadata"):
        bind(A1, {})


def test_bind_lists_only_the_first_of_many_columns():
    with pytest.raises(FilterError, match="c19 and 80 more"):
        bind(A1, {f"c{i:02d}": "text" for i in range(100)})


@pytest.mark.parametrize(
    ("text", "metadata", "expected"),
    [
        ("year = 1", {}, False),
        ("year != 1", {}, False),
        ("not (year = 1)", {}, True),
        ("not (year != 1)", {}, True),
        ("year not in (1)", {}, True),
        ("year is null", {}, True),
        ("tags is not null", {"tags": []}, True),
        ("tags contains 'x'", {"tags": ["x", "y"]}, True),
        ("tags contains 'x'", {"tags": ["xy"]}, False),
        ("tags not contains 'x'", {}, True),
        ("source contains 'rX'", {"source": "arXiv"}, True),
        ("source contains 'rx'", {"source": "arXiv"}, False),
        ("year between 1 and 3", {"year": 3}, True),
        ("open = true", {"open": False}, False),
        ("taken >= '2024-05-01'", {"taken": DAY}, True),
    ],
)
def test_matches_in_two_valued_logic(text, metadata, expected):
    assert matches(bind(parse_filter(text), COLUMNS), metadata) is expected


def test_sql_takes_no_name_that_could_end_its_quotes():
    with pytest.raises(ValueError, match="no column of the store"):
        to_sql(A1, lambda key: "a` = 1 or `a")


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_sql_refuses_numbers_that_are_not_finite(value):
    with pytest.raises(FilterError, match="finite"):
        to_sql(Comparison("mass", "<", value), str)
