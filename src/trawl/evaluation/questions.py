"""Questions with known answers, and judgement files.

A judgement file evaluates an existing library. An answer is the id of a document or chunk, or the
path of a file, absolute or relative to the folder of the judgement file. There are two formats.

JSON Lines, one question per line::

    {"query": "muon decay year:>=2020", "answers": ["papers/muon.md"]}
    {"text": "C++ -- plain words", "answers": {"papers/cpp.md": 3, "3f2a9c0e:4": 1}}
    {"image": "queries/plot.png", "text": "decay curve", "answers": ["figures/decay.png"]}

TSV, one answer per line, with the columns query, answer and grade (default 1)::

    muon decay	papers/muon.md	2
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from trawl.errors import UsageError

_QUERY_KEYS = ("query", "text", "image", "audio")
_KEYS = {*_QUERY_KEYS, "answers", "id"}


@dataclass(frozen=True, slots=True)
class Question:
    """A query and its answers.

    `query` is in the query language, `text` is plain text; `image` and `audio` are files that
    can be combined with either. `answers` maps the id of a document or chunk, or the path of
    a file, to a grade; grades of 0 are not answers.
    """

    question_id: str
    answers: Mapping[str, int] = field(default_factory=dict)
    query: str | None = None
    text: str | None = None
    image: Path | None = None
    audio: Path | None = None


def read_judgements(path: str | Path) -> list[Question]:
    """Read a judgement file, ``.jsonl`` or ``.tsv``.

    Raises `UsageError`, which names the line, if the file is invalid or has no questions.
    """
    file = Path(path)
    if file.suffix not in (".jsonl", ".tsv"):
        raise UsageError(f"{file} is not a judgement file; its extension must be .jsonl or .tsv")
    text = read_text(file)
    questions = list(_json_lines(file, text) if file.suffix == ".jsonl" else _rows(file, text))
    if not questions:
        raise UsageError(f"{file} has no questions; see docs/evaluation.md for the format")
    return questions


def read_text(file: Path) -> str:
    """Read a file as UTF-8. Raises `UsageError`."""
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not valid UTF-8 at byte {error.start}") from error


def json_objects(file: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of each line that is not empty. Raises `UsageError`."""
    # Not splitlines(): it also splits at U+2028, which JSON text may contain.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            _reject(file, number, f"not valid JSON ({error})")
        if not isinstance(value, dict):
            _reject(file, number, "not a JSON object: {...}")
        yield number, value


def _json_lines(file: Path, text: str) -> Iterator[Question]:
    for number, row in json_objects(file, text):
        unknown = sorted(row.keys() - _KEYS)
        if unknown:
            known = ", ".join(sorted(_KEYS))
            _reject(file, number, f"unknown key {unknown[0]!r}; keys: {known}")
        query = {key: row[key] for key in _QUERY_KEYS if row.get(key) is not None}
        if not query or any(not isinstance(value, str) or not value for value in query.values()):
            _reject(file, number, 'the query is missing; set "query", "text", "image" or "audio"')
        if "query" in query and "text" in query:
            _reject(file, number, '"query" and "text" cannot be combined; set one')
        yield Question(
            question_id=str(row.get("id", number)),
            answers=_answers(file, number, row.get("answers")),
            query=query.get("query"),
            text=query.get("text"),
            image=file.parent / query["image"] if "image" in query else None,
            audio=file.parent / query["audio"] if "audio" in query else None,
        )


def _answers(file: Path, number: int, value: Any) -> dict[str, int]:
    grades = dict.fromkeys(value, 1) if _is_text_list(value) else value
    if not isinstance(grades, dict) or not grades:
        _reject(file, number, '"answers" must be a list of answers, or an object of their grades')
    return {name: _grade(file, number, grade) for name, grade in grades.items()}


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _grade(file: Path, number: int, grade: Any) -> int:
    try:
        integer = int(grade)
    except (TypeError, ValueError):
        integer = -1
    if isinstance(grade, bool) or integer < 0 or str(integer) != str(grade).strip():
        _reject(file, number, f"the grade {grade!r} is not an integer of at least 0")
    return integer


def _rows(file: Path, text: str) -> Iterator[Question]:
    """Yield the questions of a table. The rows of one query are one question."""
    answers: dict[str, dict[str, int]] = {}
    table = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    for number, row in enumerate(table, start=1):
        if not any(cell.strip() for cell in row):
            continue
        if number == 1 and [cell.strip() for cell in row[:2]] == ["query", "answer"]:
            continue
        if len(row) not in (2, 3) or not row[0].strip() or not row[1].strip():
            _reject(file, number, "expected two or three columns: query, answer, grade")
        grade = _grade(file, number, row[2]) if len(row) == 3 else 1
        answers.setdefault(row[0].strip(), {})[row[1].strip()] = grade
    for number, (query, graded) in enumerate(answers.items(), start=1):
        yield Question(str(number), graded, query=query)


def _reject(file: Path, number: int, problem: str) -> NoReturn:
    raise UsageError(f"{file}, line {number}: {problem}")
