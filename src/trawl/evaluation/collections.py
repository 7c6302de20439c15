"""Test collections: read documents, questions and judgements from a folder, and index them.

Two formats are supported. BEIR (Thakur et al. 2021) has ``corpus.jsonl`` (`_id`, `title`, `text`),
``queries.jsonl`` (`_id`, `text`) and ``qrels/test.tsv`` or ``qrels.tsv`` (query, document, grade).
SMART (Cranfield, CISI, MED) has ``*.all*``, ``*.qry`` and ``*qrel`` or ``*.rel``; its judgements
number the queries in order.
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

_MAX_NAME_CHARS = 120

# Grades of SMART that are not answers: 5 is "of no interest" in Cranfield, and trec_eval ignores
# negative grades. The order of the other grades differs between copies, so each counts as 1.
_NOT_RELEVANT = {"-1", "5"}


class Text(NamedTuple):
    """A document of a collection."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Collection:
    """A test collection. The answers of its questions are names of its documents."""

    documents: Mapping[str, Text]
    questions: tuple[Question, ...]


def read_collection(folder: str | Path, split: str = "test") -> Collection:
    """Read a test collection from a folder. `split` selects the judgements of BEIR.

    Questions without answers are left out. Raises `UsageError` if the folder has neither
    format or a file is invalid.
    """
    place = Path(folder)
    if (place / "corpus.jsonl").is_file():
        collection = _beir(place, split)
    elif smart := _smart_files(place):
        collection = _smart(*smart)
    else:
        raise UsageError(
            f"{place} is not a test collection: it has neither corpus.jsonl (BEIR) nor files "
            "such as cran.all.1400, cran.qry and cranqrel (SMART)"
        )
    if not collection.questions:
        raise UsageError(f"{place} has no questions with answers")
    return collection


def add_collection(
    library: Library, collection: Collection, texts: Path, *, progress: Progress | None = None
) -> tuple[list[Question], Report]:
    """Write the documents as files into the folder `texts`, and add them to the library.

    Returns the questions with the files as their answers. Unchanged documents from an earlier
    run are skipped.
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
            question.question_id,
            {str(files.get(name, name)): grade for name, grade in question.answers.items()},
            text=question.text,
        )
        for question in collection.questions
    ]
    return questions, report


def _file_name(name: str) -> str:
    """Return a unique file name for a document, whatever characters its name has."""
    safe = quote(name, safe="")
    if len(safe) > _MAX_NAME_CHARS:
        safe = hashlib.sha256(name.encode()).hexdigest()
    # Names that start with a dot are hidden files, which are not added.
    return f"{'_' if safe.startswith('.') else ''}{safe}.txt"


def _beir(folder: Path, split: str) -> Collection:
    documents: dict[str, Text] = {}
    corpus = folder / "corpus.jsonl"
    for number, row in json_objects(corpus, read_text(corpus)):
        name = _field(corpus, number, row, "_id")
        documents[name] = Text(str(row.get("title") or "").strip(), str(row.get("text") or ""))
    file = folder / "queries.jsonl"
    queries = {
        _field(file, number, row, "_id"): _field(file, number, row, "text")
        for number, row in json_objects(file, read_text(file))
    }
    return Collection(documents, _questions(queries, _qrels(folder, split)))


def _field(file: Path, number: int, row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str | int) or not str(value).strip():
        raise UsageError(f"{file}, line {number}: {key!r} is missing")
    return str(value)


def _qrels(folder: Path, split: str) -> dict[str, dict[str, int]]:
    """Read a table of query, document and grade. TREC's format has one more column."""
    places = [folder / "qrels" / f"{split}.tsv", folder / "qrels.tsv"]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        splits = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
        known = f"; splits: {', '.join(splits)} (--split)" if splits else ""
        raise UsageError(f"{folder} has no judgements: no {places[0]} and no qrels.tsv{known}")
    grades: dict[str, dict[str, int]] = {}
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        cells = line.split()
        if not cells or (number == 1 and not cells[-1].lstrip("-").isdecimal()):
            continue
        if len(cells) not in (3, 4) or not cells[-1].lstrip("-").isdecimal():
            raise UsageError(
                f"{file}, line {number}: expected three columns: query, document, grade"
            )
        grades.setdefault(cells[0], {})[cells[-2]] = int(cells[-1])
    return grades


def _questions(
    queries: Mapping[str, str], judgements: Mapping[str, Mapping[str, int]]
) -> tuple[Question, ...]:
    return tuple(
        Question(name, answers, text=queries[name])
        for name, grades in judgements.items()
        if name in queries
        and (answers := {key: grade for key, grade in grades.items() if grade > 0})
    )


def _smart_files(folder: Path) -> tuple[Path, Path, Path] | None:
    """Return the files of documents, queries and judgements, None unless all three exist."""
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    matches = [
        next((path for path in files if pattern.search(path.name.lower())), None)
        for pattern in (re.compile(r"\.all"), re.compile(r"\.qry$"), re.compile(r"(qrel|\.rel)$"))
    ]
    texts, queries, judgements = matches
    return (texts, queries, judgements) if texts and queries and judgements else None


def _smart(texts: Path, queries: Path, judgements: Path) -> Collection:
    documents = {}
    for name, fields in _records(texts):
        title, text = fields.get("T", ""), fields.get("W", "")
        # Cranfield's abstracts repeat their titles.
        documents[name] = Text(title.rstrip(" ."), text.removeprefix(title).strip())
    texts_of_queries = {
        str(place): fields.get("W", "") for place, (_, fields) in enumerate(_records(queries), 1)
    }
    grades: dict[str, dict[str, int]] = {}
    for number, line in enumerate(read_text(judgements).split("\n"), start=1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) < 3 or not (cells[0].isdecimal() and cells[1].isdecimal()):
            raise UsageError(
                f"{judgements}, line {number}: expected three columns: query, document, grade"
            )
        relevant = int(cells[2] not in _NOT_RELEVANT)
        grades.setdefault(str(int(cells[0])), {})[str(int(cells[1]))] = relevant
    return Collection(documents, _questions(texts_of_queries, grades))


def _records(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each record's number and fields: ``.I n`` starts a record, ``.W`` a field."""
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
