"""Questions with their answers, and the judgement files that hold them.

A judgement file is about a library that is there already. Each answer is a document's or a
chunk's id, or a file: its path, absolute or from the judgement file's folder. Two forms:

JSON Lines, one question a line::

    {"query": "muon decay year:>=2020", "answers": ["papers/muon.md"]}
    {"text": "C++ -- plain words", "answers": {"papers/cpp.md": 3, "3f2a9c0e:4": 1}}
    {"image": "asked/plot.png", "text": "decay curve", "answers": ["figures/decay.png"]}

TSV, one answer a line, in the columns query, answer and grade (1 where it is left out)::

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

_ASKED = ("query", "text", "image", "audio")
_KEYS = {*_ASKED, "answers", "id"}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and what answers it: `answers` gives a grade above 0 to each.

    `query` is a line of the query language, `text` plain words; a picture and a sound may
    stand beside either. An answer is a document's id, a chunk's id or a file's path.
    """

    question_id: str
    answers: Mapping[str, int] = field(default_factory=dict)
    query: str | None = None
    text: str | None = None
    image: Path | None = None
    audio: Path | None = None


def read_judgements(path: str | Path) -> list[Question]:
    """Read a judgement file, by its ending: ``.jsonl`` or ``.tsv``.

    Raises `UsageError`, which names the line, for what cannot be read and for a file
    without questions.
    """
    file = Path(path)
    if file.suffix not in (".jsonl", ".tsv"):
        raise UsageError(f"{file} is no judgement file; those end in .jsonl or .tsv")
    text = read_text(file)
    found = list(_json_lines(file, text) if file.suffix == ".jsonl" else _rows(file, text))
    if not found:
        raise UsageError(f"{file} holds no question; each line is one (docs/evaluation.md)")
    return found


def read_text(file: Path) -> str:
    """Read a file as UTF-8. Raises `UsageError`."""
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8, at byte {error.start}") from error


def json_objects(file: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the number and the object of each line that is not empty. Raises `UsageError`."""
    # Not splitlines(): that also cuts at U+2028, which JSON text may hold.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            _refuse(file, number, f"this is not JSON ({error})")
        if not isinstance(found, dict):
            _refuse(file, number, "this is no JSON object: {...}")
        yield number, found


def _json_lines(file: Path, text: str) -> Iterator[Question]:
    for number, row in json_objects(file, text):
        unknown = sorted(row.keys() - _KEYS)
        if unknown:
            known = ", ".join(sorted(_KEYS))
            _refuse(file, number, f"no key {unknown[0]!r} is known; there are: {known}")
        asked = {key: row[key] for key in _ASKED if row.get(key) is not None}
        if not asked or any(not isinstance(value, str) or not value for value in asked.values()):
            _refuse(file, number, 'nothing is asked; give "query", "text", "image" or "audio"')
        if "query" in asked and "text" in asked:
            _refuse(file, number, '"query" and "text" are two ways to give words; give one')
        yield Question(
            question_id=str(row.get("id", number)),
            answers=_answers(file, number, row.get("answers")),
            query=asked.get("query"),
            text=asked.get("text"),
            image=file.parent / asked["image"] if "image" in asked else None,
            audio=file.parent / asked["audio"] if "audio" in asked else None,
        )


def _answers(file: Path, number: int, given: Any) -> dict[str, int]:
    found = dict.fromkeys(given, 1) if _is_list(given) else given
    if not isinstance(found, dict) or not found:
        _refuse(file, number, '"answers" is a list of answers, or an object of their grades')
    return {name: _grade(file, number, grade) for name, grade in found.items()}


def _is_list(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(name, str) for name in given)


def _grade(file: Path, number: int, grade: Any) -> int:
    try:
        whole = int(grade)
    except (TypeError, ValueError):
        whole = -1
    if isinstance(grade, bool) or whole < 0 or str(whole) != str(grade).strip():
        _refuse(file, number, f"the grade {grade!r} is no whole number from 0 on")
    return whole


def _rows(file: Path, text: str) -> Iterator[Question]:
    """Give the questions of a table; the rows of one query are one question."""
    answers: dict[str, dict[str, int]] = {}
    table = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    for number, row in enumerate(table, start=1):
        if not any(cell.strip() for cell in row):
            continue
        if number == 1 and [cell.strip() for cell in row[:2]] == ["query", "answer"]:
            continue
        if len(row) not in (2, 3) or not row[0].strip() or not row[1].strip():
            _refuse(file, number, "two or three columns are expected: query, answer, grade")
        grade = _grade(file, number, row[2]) if len(row) == 3 else 1
        answers.setdefault(row[0].strip(), {})[row[1].strip()] = grade
    for number, (query, graded) in enumerate(answers.items(), start=1):
        yield Question(str(number), graded, query=query)


def _refuse(file: Path, number: int, what: str) -> NoReturn:
    raise UsageError(f"{file}, line {number}: {what}")
