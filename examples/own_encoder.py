"""Index a folder with the embeddings of an HTTP service of the OpenAI shape, and search it.

    python examples/own_encoder.py http://127.0.0.1:8080/v1 MODEL FOLDER "muon decay"

The library is made beside the folder, in FOLDER.trawl. OPENAI_API_KEY is sent if it is set.
This needs httpx: pip install 'trawl-multimodal[client]'
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import httpx
import numpy as np

from trawl import Library
from trawl.types import Space


class Service:
    """Texts to vectors, by POST /embeddings of an HTTP service."""

    modality = "text"
    batch = 64
    max_tokens = 2000

    def __init__(self, address: str, model: str) -> None:
        key = os.environ.get("OPENAI_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=address, headers=headers, timeout=60)
        self._model = model
        # The fingerprint names the weights: vectors of another model are refused.
        name = model.rpartition("/")[2]
        self.space = Space(name, dimension=self.encode(["any"]).shape[1], fingerprint=model)

    def encode(self, items: Sequence[str]) -> np.ndarray:
        body = {"model": self._model, "input": list(items), "encoding_format": "float"}
        answer = self._client.post("/embeddings", json=body).raise_for_status().json()
        rows = sorted(answer["data"], key=lambda row: row["index"])
        return np.array([row["embedding"] for row in rows], np.float32)


def main(address: str, model: str, folder: str, query: str) -> None:
    with Library(f"{folder}.trawl", create=True, encoders=[Service(address, model)]) as library:
        report = library.add(folder)
        print(report.added, "added,", len(report.failed), "failed")
        for hit in library.search(query, limit=3):
            print(hit.rank, hit.title, round(hit.score, 2))


if __name__ == "__main__":
    main(*sys.argv[1:])
