"""The value behind a key: one, a comparison, a range, a list, ``*`` or ``*part*``."""

from __future__ import annotations

from trawl.query.language_parts import Condition
from trawl.query.language_scan import Run, Scanner
from trawl.query.places import Place
from trawl.query.tree import Operator

_OPERATORS: dict[str, Operator] = {">=": ">=", "<=": "<=", "==": "=", ">": ">", "<": "<", "=": "="}


def read_condition(scan: Scanner, key: str, *, negated: bool, start: int) -> Condition:
    """Read the value at the scanner, directly behind `key` and its colon.

    Raises `QueryError` for a value that is missing, weighted, or half a range.
    """
    if scan.peek() == "(":
        return Condition(key, "in", _list(scan), negated)
    if not scan.peek() or scan.peek().isspace():
        raise scan.problem(scan.since(start), _missing(key))
    if scan.text.startswith("!", scan.at):
        raise scan.problem(
            Place(scan.at, scan.at + 1), f"other than a value is written with a minus: -{key}:value"
        )
    operator = _operator(scan)
    if operator is not None:
        value = _scalar(scan, key, start)
        return Condition(key, operator, (value,), negated)
    return _value(scan, key, start, negated)


def read_has(scan: Scanner, *, negated: bool) -> Condition:
    """Read the key at the scanner, directly behind ``has:``."""
    if not scan.at_quote():
        return Condition(_bare(scan).text, "exists", (), negated)
    start = scan.at
    key = scan.quoted()
    scan.close("a quote", weighted=False)
    if not key:
        raise scan.problem(scan.since(start), "this key is empty; a key is a name")
    return Condition(key, "exists", (), negated)


def _value(scan: Scanner, key: str, start: int, negated: bool) -> Condition:
    """`key:value`, `key:low..high`, `key:low..`, `key:..high`, `key:*` or `key:*part*`."""
    if scan.at_quote():
        low = scan.quoted()
        if not scan.text.startswith("..", scan.at):
            scan.close("a quote", weighted=False)
            return Condition(key, "=", (low,), negated)
        scan.at += 2
        return _range(scan, key, start, negated, low)
    at = scan.at
    run = _bare(scan, ends=True)
    dots = _dots(scan, run)
    if dots >= 0:
        scan.at = run.places[dots] + 2
        return _range(scan, key, start, negated, run.text[:dots] if dots else None)
    stars = run.text[:1] == "*" and run.live[0], run.text[-1:] == "*" and run.live[-1]
    if run.text == "*" and stars[0]:
        return Condition(key, "exists", (), negated)
    if all(stars) and len(run.text) > 2:
        return Condition(key, "contains", (run.text[1:-1],), negated)
    if any(stars):
        raise scan.problem(
            scan.since(at), f"a * stands at both ends, {key}:*part*, or alone; \\* is the sign"
        )
    return Condition(key, "=", (run.text,), negated)


def _range(scan: Scanner, key: str, start: int, negated: bool, low: str | None) -> Condition:
    """The rest of a range, behind its dots."""
    if not scan.peek() or scan.peek().isspace():
        if low is None:
            raise scan.problem(scan.since(start), _missing(key))
        return Condition(key, ">=", (low,), negated)
    if scan.peek() == ".":
        raise scan.problem(Place(scan.at, scan.at + 1), "a range has two dots: 2019..2021")
    high = _scalar(scan, key, start)
    if low is None:
        return Condition(key, "<=", (high,), negated)
    return Condition(key, "range", (low, high), negated)


def _list(scan: Scanner) -> tuple[str, ...]:
    """`(a, two words, "c, d")`."""
    opened = scan.at
    values: list[str] = []
    scan.at += 1
    while True:
        scan.skip_space()
        start = scan.at
        if scan.at_quote():
            values.append(scan.quoted())
            scan.skip_space()
        else:
            run = scan.run(",()", spaces=True).trimmed()
            if not run.text and scan.peek():
                raise scan.problem(scan.since(start), "a value is missing here: (arXiv, CERN)")
            _check_plain(scan, run)
            values.append(" ".join(run.text.split()))
        if not scan.peek():
            raise scan.problem(Place(opened, opened + 1), "this parenthesis is not closed")
        scan.at += 1
        behind = scan.text[scan.at - 1]
        if behind == ")":
            scan.close("a parenthesis", weighted=False)
            return tuple(values)
        if behind != ",":
            raise scan.problem(
                Place(scan.at - 1, scan.at), "commas stand between the values: (arXiv, CERN)"
            )


def _operator(scan: Scanner) -> Operator | None:
    for sign, operator in _OPERATORS.items():
        if scan.text.startswith(sign, scan.at):
            scan.at += len(sign)
            return operator
    return None


def _scalar(scan: Scanner, key: str, start: int) -> str:
    """One value behind an operator or the dots of a range."""
    if scan.at_quote():
        value = scan.quoted()
        scan.close("a quote", weighted=False)
        return value
    if not scan.peek() or scan.peek().isspace() or scan.peek() in "<>=!":
        raise scan.problem(scan.since(start), _missing(key))
    run = _bare(scan)
    dots = _dots(scan, run)
    if dots >= 0:
        raise scan.problem(
            Place(run.places[dots], run.places[dots] + 2),
            f"a range stands alone: {key}:2019..2021; quotes make the dots plain",
        )
    return run.text


def _bare(scan: Scanner, *, ends: bool = False) -> Run:
    """An unquoted value; with `ends`, up to the quoted end of a range."""
    run = scan.run(ends=ends)
    _check_plain(scan, run)
    return run


def _check_plain(scan: Scanner, run: Run) -> None:
    hat = run.find("^")
    if hat >= 0:
        raise scan.problem(
            run.cut(hat, len(run.text)).place,
            "a condition has no weight: it holds or it does not; \\^ is the sign itself",
        )


def _dots(scan: Scanner, run: Run) -> int:
    """Where a live `..` begins, or -1."""
    for i in range(len(run.text) - 1):
        if run.text[i : i + 2] == ".." and run.live[i] and run.live[i + 1]:
            return i
    return -1


def _missing(key: str) -> str:
    return (
        f"a value is missing: {key}:2020, {key}:>=2020, {key}:2019..2021 or {key}:(a, b); "
        'a text with other signs stands in quotes: key:"<b>"'
    )
