"""Test collections: texts, questions and judgements, read from a folder and indexed.

Two forms are read. BEIR (Thakur et al. 2021): ``corpus.jsonl`` (`_id`, `title`, `text`),
``queries.jsonl`` (`_id`, `text`) and ``qrels/test.tsv`` or ``qrels.tsv`` (query, document,
grade). SMART, of Cranfield, CISI and MED: ``*.all*``, ``*.qry`` and ``*qrel`` or ``*.rel``,
where judgements number the queries in their order.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from trawl.errors import UsageError
from trawl.evaluation.questions import Question, json_objects, read_text
from trawl.ingest import Progress
from trawl.library import Library
from trawl.types import Report

_LONGEST_NAME = 120

# SMART's grades that are no answer: 5 is Cranfield's "of no interest", and a negative grade
# is none to trec_eval. The others run from a full answer to one of little interest,
# downwards or upwards by the copy, so that each counts as 1.
_NOT_RELEVANT = {"-1", "5"}


class Text(NamedTuple):
    """A document of a collection."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Collection:
    """A test collection; the answers of its questions are names of its documents."""

    documents: Mapping[str, Text]
    questions: tuple[Question, ...]


def read_collection(folder: str | Path, split: str = "test") -> Collection:
    """Read a folder; `split` is which of BEIR's judgements are taken.

    Raises `UsageError` where the folder is of neither form, and for a file that does not
    read. Questions without an answer in the judgements are left out.
    """
    place = Path(folder)
    if (place / "corpus.jsonl").is_file():
        collection = _beir(place, split)
    elif smart := _smart_files(place):
        collection = _smart(*smart)
    else:
        raise UsageError(
            f"{place} is no test collection: it has no corpus.jsonl (BEIR), and no files "
            "such as cran.all.1400, cran.qry and cranqrel (SMART)"
        )
    if not collection.questions:
        raise UsageError(f"{place} has no question with a judged answer")
    return collection


def add_collection(
    library: Library, collection: Collection, texts: Path, *, progress: Progress | None = None
) -> tuple[list[Question], Report]:
    """Write the documents as files into the folder `texts`, and add them to the library.

    Gives the questions with the files as their answers. What the folder and the library
    hold already, and has not changed, is not added again.
    """
    texts.mkdir(parents=True, exist_ok=True)
    files = {name: texts / _file_name(name) for name in collection.documents}
    titles = []
    for name, document in collection.documents.items():
        files[name].write_text((document.text.strip() or document.title) + "\n", "utf-8")
        if document.title:
            titles.append({"file": files[name].name, "title": document.title})
    table = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in titles)
    (texts / "metadata.jsonl").write_text(table, "utf-8")
    report = library.add(texts, progress=progress)
    questions = [
        Question(
            asked.question_id,
            {str(files.get(name, name)): grade for name, grade in asked.answers.items()},
            text=asked.text,
        )
        for asked in collection.questions
    ]
    return questions, report


def _file_name(name: str) -> str:
    """Give a file's name that no other document has, whatever signs are in its own."""
    safe = quote(name, safe="")
    if len(safe) > _LONGEST_NAME:
        safe = hashlib.sha256(name.encode()).hexdigest()
    # A name that begins with a point is one of a hidden file, which is not added.
    return f"{'_' if safe.startswith('.') else ''}{safe}.txt"


def _beir(folder: Path, split: str) -> Collection:
    documents: dict[str, Text] = {}
    corpus = folder / "corpus.jsonl"
    for number, row in json_objects(corpus, read_text(corpus)):
        name = _field(corpus, number, row, "_id")
        documents[name] = Text(str(row.get("title") or "").strip(), str(row.get("text") or ""))
    file = folder / "queries.jsonl"
    asked = {
        _field(file, number, row, "_id"): _field(file, number, row, "text")
        for number, row in json_objects(file, read_text(file))
    }
    return Collection(documents, _questions(asked, _qrels(folder, split)))


def _field(file: Path, number: int, row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str | int) or not str(value).strip():
        raise UsageError(f"{file}, line {number}: {key!r} is missing")
    return str(value)


def _qrels(folder: Path, split: str) -> dict[str, dict[str, int]]:
    """Read a table of query, document and grade; TREC's form has a column more."""
    places = [folder / "qrels" / f"{split}.tsv", folder / "qrels.tsv"]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        there = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
        known = f"; there are: {', '.join(there)} (--split)" if there else ""
        raise UsageError(f"{folder} has no judgements: no {places[0]} and no qrels.tsv{known}")
    grades: dict[str, dict[str, int]] = {}
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        cells = line.split()
        if not cells or (number == 1 and not cells[-1].lstrip("-").isdecimal()):
            continue
        if len(cells) not in (3, 4) or not cells[-1].lstrip("-").isdecimal():
            raise UsageError(
                f"{file}, line {number}: three columns are expected: query, document, grade"
            )
        grades.setdefault(cells[0], {})[cells[-2]] = int(cells[-1])
    return grades


def _questions(
    asked: Mapping[str, str], grades: Mapping[str, Mapping[str, int]]
) -> tuple[Question, ...]:
    return tuple(
        Question(name, answers, text=asked[name])
        for name, given in grades.items()
        if name in asked and (answers := {key: grade for key, grade in given.items() if grade > 0})
    )


def _smart_files(folder: Path) -> tuple[Path, Path, Path] | None:
    """Give the texts, the queries and the judgements, where all three are there."""
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    found = [
        next((path for path in files if pattern.search(path.name.lower())), None)
        for pattern in (re.compile(r"\.all"), re.compile(r"\.qry$"), re.compile(r"(qrel|\.rel)$"))
    ]
    texts, queries, judgements = found
    return (texts, queries, judgements) if texts and queries and judgements else None


def _smart(texts: Path, queries: Path, judgements: Path) -> Collection:
    documents = {}
    for name, fields in _records(texts):
        title, text = fields.get("T", ""), fields.get("W", "")
        # Cranfield's abstracts repeat their titles.
        documents[name] = Text(title.rstrip(" ."), text.removeprefix(title).strip())
    asked = {
        str(place): fields.get("W", "") for place, (_, fields) in enumerate(_records(queries), 1)
    }
    grades: dict[str, dict[str, int]] = {}
    for number, line in enumerate(read_text(judgements).split("\n"), start=1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) < 3 or not (cells[0].isdecimal() and cells[1].isdecimal()):
            raise UsageError(
                f"{judgements}, line {number}: three columns are expected: query, document, grade"
            )
        relevant = int(cells[2] not in _NOT_RELEVANT)
        grades.setdefault(str(int(cells[0])), {})[str(int(cells[1]))] = relevant
    return Collection(documents, _questions(asked, grades))


def _records(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Give each record's number and its fields: ``.I n`` begins a record, ``.W`` a field."""
    number, fields, field = "", dict[str, list[str]](), ""
    for line in read_text(file).split("\n"):
        if line.startswith(".I"):
            if number:
                yield number, {name: " ".join(words) for name, words in fields.items()}
            number, fields = line[2:].strip().lstrip("0"), {}
        elif len(line.strip()) == 2 and line.startswith("."):
            field = line[1]
        elif number:
            fields.setdefault(field, []).extend(line.split())
    if number:
        yield number, {name: " ".join(words) for name, words in fields.items()}
