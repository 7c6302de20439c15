"""Shared by the quality benchmarks: data, rankings, measures, tables."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trawl.ranking import Fusion, Null
from trawl.types import Ranking

DEPTH = 100
SAMPLE = 1024
VECTOR_FILES = ("minilm_{}_corpus.npy", "minilm_{}_queries.npy", "minilm_{}_excerpts.npy")

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]


def data_folder(name: str) -> Path:
    """Return a folder of the reference data, or exit with the reason."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("TRAWL_DATA", beside)) / name
    if not folder.is_dir():
        sys.exit(f"skipped: no reference data at {folder}; set TRAWL_DATA to where it is")
    return folder


def nearest(
    source: str, query: Vectors, vectors: Vectors, rows: Rows | None = None, depth: int = DEPTH
) -> Ranking:
    """Rank by cosine, like the store. `rows` are the ids of `vectors`."""
    similarities = vectors @ query
    order = np.lexsort((np.arange(len(vectors)), -similarities))[:depth]
    ids = np.arange(len(vectors)) if rows is None else rows
    return Ranking(source, ids[order], similarities[order], len(vectors))


def sample_rows(count: int, size: int = SAMPLE) -> Rows:
    """Draw a source's background sample like the library: at random, once."""
    return np.random.default_rng(0).permutation(count)[:size]


def excerpt_rows(count: int) -> Rows:
    """Return the chunks from which the library takes excerpts as queries."""
    return sample_rows(count, 64)


class Background(NamedTuple):
    """A query's similarities to a sample of a source, float32 [M], and the source's null."""

    similarities: Vectors
    null: Null | None = None


def nulls_of(backgrounds: Mapping[str, Background]) -> dict[str, Null]:
    return {name: b.null for name, b in backgrounds.items() if b.null is not None}


class Shopsphere(NamedTuple):
    """Real CLIP vectors of products, float32 [1126, 512] each, and their descriptions."""

    images: Vectors
    texts: Vectors
    descriptions: list[str]


def shopsphere() -> Shopsphere:
    folder = data_folder("clip_vectors_shopsphere")
    with (folder / "metadata2.csv").open(encoding="utf-8", newline="") as file:
        descriptions = [row["description"] for row in csv.DictReader(file)]
    return Shopsphere(
        np.load(folder / "image_embeddings.npy"),
        np.load(folder / "text_embeddings.npy"),
        descriptions,
    )


class Collection(NamedTuple):
    """Documents, queries and judgements: query index -> {document index: gain}."""

    documents: list[str]
    queries: list[str]
    judgements: dict[int, dict[int, int]]


def scifact() -> Collection:
    folder = data_folder("scifact")
    documents = _json_lines(folder / "corpus.jsonl")
    queries = _json_lines(folder / "queries.jsonl")
    number = {row["_id"]: i for i, row in enumerate(documents)}
    asked = {row["_id"]: i for i, row in enumerate(queries)}
    judgements: dict[int, dict[int, int]] = {}
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, gain = line.split("\t")
        if int(gain) > 0:
            judgements.setdefault(asked[query], {})[number[document]] = int(gain)
    return Collection(
        [f"{row['title']} {row['text']}" for row in documents],
        [row["text"] for row in queries],
        judgements,
    )


def cranfield() -> Collection:
    """Return Cranfield. Every judgement except "of no interest" has gain 1."""
    folder = data_folder("cranfield")
    judgements: dict[int, dict[int, int]] = {}
    for line in (folder / "cranqrel").read_text("ascii").splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[2] != "5":
            judgements.setdefault(int(fields[0]) - 1, {})[int(fields[1]) - 1] = 1
    documents = []
    for fields_of in _smart(folder / "cran.all.1400"):
        title, text = fields_of.get("T", ""), fields_of.get("W", "")
        # The abstracts repeat their titles.
        documents.append(text if text.startswith(title) else f"{title} {text}")
    queries = [fields_of["W"] for fields_of in _smart(folder / "cran.qry")]
    return Collection(documents, queries, judgements)


def _json_lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _smart(path: Path) -> list[dict[str, str]]:
    """Read the SMART format: ".I n" starts a record, ".W" and similar lines a field."""
    records: list[dict[str, list[str]]] = []
    field = ""
    for line in path.read_text("ascii").splitlines():
        if line.startswith(".I"):
            records.append({})
        elif line.startswith(".") and len(line.strip()) == 2:
            field = line[1]
        elif records:
            records[-1].setdefault(field, []).extend(line.split())
    return [{name: " ".join(words) for name, words in record.items()} for record in records]


def recall_at(ranks: Sequence[int], k: int) -> float:
    """Return the fraction of answers among the first k; ranks start at 1."""
    return float(np.mean(np.asarray(ranks) <= k))


def ndcg_at_10(rows: Iterable[int], gains: Mapping[int, int]) -> float:
    """Return nDCG@10 (Jarvelin & Kekalainen 2002)."""
    discounts = 1 / np.log2(np.arange(2, 12))
    got = [gains.get(int(row), 0) for row in rows][:10]
    ideal = sorted(gains.values(), reverse=True)[:10]
    return float(discounts[: len(got)] @ got) / float(discounts[: len(ideal)] @ ideal)


def best_of(fused: Fusion, method: str) -> float:
    """Return a list's confidence, or its best score if the method has none."""
    if method == "calibrated" or not len(fused):
        return fused.confidence
    return float(fused.scores[0])


def area_under_curve(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Return the probability that a positive exceeds a negative; ties count half."""
    above = (positive[:, None] > negative[None, :]).mean()
    return float(above + 0.5 * (positive[:, None] == negative[None, :]).mean())


def table(title: str, columns: Sequence[str], lines: Iterable[tuple[str, Sequence[float]]]) -> None:
    """Print a table in Markdown."""
    print(f"\n{title}\n")
    print("| | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for name, values in lines:
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
