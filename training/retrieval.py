"""Measures of ranking that the training and evaluation scripts share."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class JudgedCollection:
    """Documents, queries, and which documents answer which query (`relevant[q]` = {doc: gain})."""

    documents: list[str]
    queries: list[str]
    relevant: list[dict[int, float]]


def read_scifact(data: Path) -> JudgedCollection:
    """SciFact as BEIR publishes it; a document is its title and abstract with a space between."""
    folder = data / "scifact"
    docs = [json.loads(x) for x in (folder / "corpus.jsonl").read_text("utf-8").splitlines()]
    queries = [json.loads(x) for x in (folder / "queries.jsonl").read_text("utf-8").splitlines()]
    row_of = {d["_id"]: i for i, d in enumerate(docs)}
    relevant: dict[str, dict[int, float]] = defaultdict(dict)
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, gain = line.split("\t")
        if float(gain) > 0:
            relevant[query][row_of[document]] = float(gain)
    kept = [q for q in queries if q["_id"] in relevant]
    return JudgedCollection(
        [f"{d['title']} {d['text']}" for d in docs],
        [q["text"] for q in kept],
        [relevant[q["_id"]] for q in kept],
    )


def read_stsb(data: Path, split: str) -> tuple[np.ndarray, list[str], list[str]]:
    """(scores 0..5 `[N]`, first sentences, second sentences) of one split of STS-B."""
    with gzip.open(data / "stsbenchmark" / "stsbenchmark.tsv.gz", "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    rows = [row for row in rows[1:] if row[0] == split]
    return np.array([float(r[5]) for r in rows]), [r[6] for r in rows], [r[7] for r in rows]


def ndcg_at_10(scores: np.ndarray, relevant: Sequence[dict[int, float]]) -> float:
    """Mean normalised discounted cumulative gain of `scores` `[Q, N]`, as trec_eval does it."""
    total = 0.0
    for row, gains in zip(scores, relevant, strict=True):
        best = np.argsort(-row, kind="stable")[:10]
        found = sum(gains.get(int(d), 0.0) / math.log2(i + 2) for i, d in enumerate(best))
        ideal = sorted(gains.values(), reverse=True)[:10]
        total += found / sum(g / math.log2(i + 2) for i, g in enumerate(ideal))
    return total / len(relevant)


_TERM = re.compile(r"[a-z0-9]+")
_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "if",
        "in",
        "into",
        "is",
        "it",
        "no",
        "not",
        "of",
        "on",
        "or",
        "such",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "will",
        "with",
    ]
)


class _Stems(dict[str, str]):
    """Snowball's English stems, each worked out once."""

    def __init__(self) -> None:
        import Stemmer

        self.stemmer = Stemmer.Stemmer("english")

    def __missing__(self, word: str) -> str:
        stem: str = self.stemmer.stemWord(word)
        self[word] = stem
        return stem


def bm25(
    documents: Sequence[str], queries: Sequence[str], k1: float = 1.5, b: float = 0.75
) -> np.ndarray:
    """Okapi BM25 scores float32 `[Q, N]` (Robertson and Zaragoza 2009, with Lucene's IDF)."""
    stems = _Stems()

    def terms(text: str) -> list[str]:
        return [stems[w] for w in _TERM.findall(text.lower()) if w not in _STOP]

    postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
    lengths = np.zeros(len(documents), np.float32)
    for i, document in enumerate(documents):
        counted = Counter(terms(document))
        lengths[i] = sum(counted.values())
        for term, frequency in counted.items():
            postings[term].append((i, frequency))
    norm = k1 * (1 - b + b * lengths / lengths.mean())
    scores = np.zeros((len(queries), len(documents)), np.float32)
    for q, query in enumerate(queries):
        for term in terms(query):
            if term in postings:
                rows, frequency = np.array(postings[term]).T
                idf = math.log(1 + (len(documents) - len(rows) + 0.5) / (len(rows) + 0.5))
                scores[q, rows] += idf * frequency * (k1 + 1) / (frequency + norm[rows])
    return scores


def standardised_sum(dense: np.ndarray, lexical: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Hybrid scores `[Q, N]`: each side's scores standardised over a query's documents, then
    `share` of the dense side and the rest of the lexical."""

    def standardised(scores: np.ndarray) -> np.ndarray:
        spread = np.maximum(scores.std(1, keepdims=True), 1e-9)
        return (scores - scores.mean(1, keepdims=True)) / spread

    return share * standardised(dense) + (1 - share) * standardised(lexical)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation, ties given their mean rank."""

    def ranks(values: np.ndarray) -> np.ndarray:
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]

    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])
