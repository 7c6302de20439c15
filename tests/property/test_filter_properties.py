"""The store's SQL and `matches` agree for any filter and any text."""

import datetime
import re

import lance
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

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
    to_sql,
)

NASTY = [
    "",
    "it's",
    "''",
    "'; DROP TABLE chunks; --",
    "' or 1 = 1 or 'a' = '",
    'a"b',
    "`",
    "back\\slash",
    "end\\",
    "\\'",
    "new\nline\r\n",
    "\x00",
    "%",
    "a_b%",
    "NULL",
    "é",
    "e\u0301",
    "😀",
    "日本",
    "\u202e",
    "\ufeff",
    "$1",
    "?",
    "{{x}}",
    "--",
    "/*",
]
COLUMNS = {
    "word": "text",
    "count": "integer",
    "mass": "real",
    "open": "boolean",
    "taken": "date",
    "tags": "texts",
}
COLUMN_NAMES = {key: f"m {i} {key}" for i, key in enumerate(COLUMNS)}
ARROW = {
    "word": pa.string(),
    "count": pa.int64(),
    "mass": pa.float64(),
    "open": pa.bool_(),
    "taken": pa.date32(),
    "tags": pa.list_(pa.string()),
}
COUNTS = [0, 1, -1, 2020, 2**53 + 1, 2**63 - 1, -(2**63)]
MASSES = [0.0, -0.0, 0.1, -2.5, 1e16, 1.7976931348623157e308, 5e-324]
DAYS = [datetime.date(1, 1, 1), datetime.date(1969, 12, 31), datetime.date(9999, 12, 31)]
VALUES = {
    "word": st.sampled_from(NASTY),
    "count": st.sampled_from(COUNTS),
    "mass": st.sampled_from(MASSES),
    "open": st.booleans(),
    "taken": st.sampled_from(DAYS),
}


WORDS = [
    "a",
    "b",
    "and",
    "or",
    "not",
    "in",
    "between",
    "like",
    "is",
    "null",
    "contains",
    "date",
    "true",
    "(",
    ")",
    ",",
    ".",
    "-",
    "=",
    "!=",
    "<",
    "1",
    "2.5",
    "'x'",
    "'2024-05-01'",
    '"k"',
    ";",
    "--",
    "/*",
    "@>",
    "::",
    "[",
    "]",
    "select",
    "case",
    "cast",
    "as",
    "any",
    "escape",
]


def rows() -> list[dict]:
    """Sixty documents: each key missing in some, every nasty text once as word and as tag."""
    found = []
    for i in range(60):
        row = {
            "word": NASTY[i % len(NASTY)],
            "count": COUNTS[i % len(COUNTS)],
            "mass": MASSES[i % len(MASSES)],
            "open": i % 2 == 0,
            "taken": DAYS[i % len(DAYS)],
            "tags": NASTY[i % len(NASTY) :][: i % 4],
        }
        missing = {key for j, key in enumerate(row) if (i // 8 + j) % 5 == 0}
        found.append({key: value for key, value in row.items() if key not in missing})
    return found


ROWS = rows()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    columns = {
        COLUMN_NAMES[key]: pa.array([row.get(key) for row in ROWS], ARROW[key]) for key in COLUMNS
    }
    table = pa.table({"row": list(range(len(ROWS))), **columns})
    return lance.write_dataset(table, str(tmp_path_factory.mktemp("lance") / "rows.lance"))


def found_in(dataset, tree) -> list[int]:
    sql = to_sql(tree, COLUMN_NAMES.__getitem__)
    return sorted(dataset.to_table(columns=["row"], filter=sql)["row"].to_pylist())


def leaves():
    comparisons = st.sampled_from(sorted(VALUES)).flatmap(
        lambda key: st.builds(
            Comparison,
            st.just(key),
            st.sampled_from(["=", "!="] if key == "open" else ["=", "!=", "<", "<=", ">", ">="]),
            VALUES[key],
        )
    )
    memberships = st.sampled_from(sorted(VALUES)).flatmap(
        lambda key: st.builds(
            OneOf, st.just(key), st.lists(VALUES[key], min_size=1, max_size=3).map(tuple)
        )
    )
    contains = st.builds(Contains, st.sampled_from(["word", "tags"]), st.sampled_from(NASTY))
    return comparisons | memberships | contains | st.builds(Exists, st.sampled_from(list(COLUMNS)))


def parts(children):
    return st.lists(children, min_size=2, max_size=3).map(tuple)


TREES = st.recursive(
    leaves(),
    lambda children: (
        st.builds(And, parts(children))
        | st.builds(Or, parts(children))
        | children.filter(lambda part: not isinstance(part, Not)).map(Not)
    ),
    max_leaves=8,
)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tree=TREES)
def test_the_store_and_python_find_the_same(dataset, tree):
    bound = bind(tree, COLUMNS)

    assert found_in(dataset, bound) == [i for i, row in enumerate(ROWS) if matches(bound, row)]


@pytest.mark.parametrize("word", NASTY)
def test_any_text_finds_itself_and_nothing_else(dataset, word):
    quoted = "'" + word.replace("'", "''") + "'"
    tree = bind(parse_filter(f"word = {quoted} or tags contains {quoted}"), COLUMNS)

    expected = [
        i for i, row in enumerate(ROWS) if row.get("word") == word or word in row.get("tags", [])
    ]
    assert expected
    assert found_in(dataset, tree) == expected


def written(tree) -> str:
    """Write a filter with as few parentheses as the precedence allows."""

    def literal(value) -> str:
        match value:
            case bool():
                return "true" if value else "false"
            case str():
                return "'" + value.replace("'", "''") + "'"
            case datetime.date():
                return f"date '{value}'"
            case _:
                return repr(value)

    match tree:
        case Comparison(key, op, value):
            return f"{key} {op} {literal(value)}"
        case OneOf(key, values):
            return f"{key} in ({', '.join(map(literal, values))})"
        case Contains(key, value):
            return f"{key} contains {literal(value)}"
        case Exists(key):
            return f"{key} is not null"
        case And(members):
            return " and ".join(
                f"({written(part)})" if isinstance(part, And | Or) else written(part)
                for part in members
            )
        case Or(members):
            return " or ".join(
                f"({written(part)})" if isinstance(part, Or) else written(part) for part in members
            )
        case Not(part):
            inner = written(part)
            return f"not ({inner})" if isinstance(part, And | Or) else f"not {inner}"


@settings(max_examples=80, deadline=None)
@given(tree=TREES)
def test_a_written_filter_parses_to_the_same_tree(tree):
    assert parse_filter(written(tree)) == tree


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(max_size=60)
    | st.lists(
        st.sampled_from(WORDS),
        max_size=14,
    ).map(" ".join)
)
def test_any_text_is_parsed_or_refused_with_a_place(text):
    try:
        tree = parse_filter(text)
    except FilterError:
        return
    matches(tree, {})
    to_sql(tree, lambda key: "column")


KEYS = ["word", "count", "mass", "open", "taken", "tags", '"yaer"', "gone", '"a ""b"', "日本"]
LITERALS = ["'x'", "1", "-2.5", "true", "date '2024-05-01'", "'it''s'", "1e400", "'日本'"]
CONDITIONS = [
    "{k} = {v}",
    "{v} < {k}",
    "{k} != {v}",
    "{k} >= {v}",
    "{k} in ({v}, {v}, {v})",
    "{k} between {v} and {v}",
    "{k} contains 'x'",
    "{k} like '%x%'",
    "{k} is not null",
    "not ({k} > {v})",
]


@st.composite
def condition_texts(draw):
    text = draw(st.sampled_from(CONDITIONS)).replace("{k}", draw(st.sampled_from(KEYS)))
    while "{v}" in text:
        text = text.replace("{v}", draw(st.sampled_from(LITERALS)), 1)
    return text


@settings(max_examples=300, deadline=None)
@given(conditions=st.lists(condition_texts(), min_size=1, max_size=4))
def test_type_errors_point_at_their_place(conditions):
    line = "  and ".join(conditions)
    tree = parse_filter(line)
    try:
        bound = bind(tree, COLUMNS)
    except FilterError as error:
        first, excerpt, carets = str(error).split("\n")
        place = int(re.match(r"filter, character (\d+): ", first)[1])
        assert 1 <= place <= len(line)
        assert carets.strip(" ^") == ""
        if excerpt == f"  {line}":
            # Columns of the terminal, of which some characters take two.
            begin = 2 + cell_len(line[: place - 1])
            assert carets.index("^") == begin
        return
    matches(bound, {})
    to_sql(bound, lambda key: "column")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("open = true and yaer = 2", "yaer"),
        ("count in (1, 2, 'x')", "'x'"),
        ("count between 1 and 'x'", "'x'"),
        ("not (open < true)", "open"),
        ("mass contains 'x'", "mass"),
        ("  taken = '2024-13-01'", "'2024-13-01'"),
        ("a.b is not null", "a.b"),
        ("'x' in tagz", "tagz"),
    ],
)
def test_the_place_is_that_of_the_key_or_the_value(line, shown):
    with pytest.raises(FilterError) as caught:
        bind(parse_filter(line), COLUMNS)
    first, excerpt, carets = str(caught.value).split("\n")
    assert first.startswith(f"filter, character {line.index(shown) + 1}: ")
    assert excerpt[carets.index("^") :][: carets.count("^")] == shown
