"""The design of a typical tutorial, reimplemented: a first server for a LanceDB table.

One table for all modalities with one vector column, `async` routes with blocking calls, and a
dict as cache. It is a baseline for Trawl and uses the same `mini` encoders, so that only the
design differs.

`python _tutorial_app.py FOLDER PORT` serves the table `items` of the LanceDB database in FOLDER.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import lancedb
import uvicorn
from fastapi import FastAPI, Query, UploadFile
from PIL import Image
from pydantic import BaseModel

from trawl.encoders import load_model

CACHE_S = 300
CACHE_ENTRIES = 1_000


class Item(BaseModel):
    id: str
    modality: str
    score: float
    metadata: dict[str, Any]
    text_preview: str | None


class Answer(BaseModel):
    query: str
    results: list[Item]
    total_hits: int
    query_time_ms: float


def create_app(folder: Path) -> FastAPI:
    app = FastAPI()
    model = load_model("mini")
    table = lancedb.connect(str(folder)).open_table("items")
    model.text.encode(["warm"])
    cache: dict[str, tuple[float, Answer]] = {}

    @app.get("/search")
    async def search(
        query: str = Query(min_length=1, max_length=500),
        modality: str | None = None,
        top_k: int = Query(10, ge=1, le=100),
    ) -> Answer:
        began = time.perf_counter()
        key = hashlib.md5(f"{query}:{modality}:{top_k}".encode()).hexdigest()
        kept = cache.get(key)
        if kept is not None and time.time() - kept[0] < CACHE_S:
            return kept[1]
        vector = model.text.encode([query])[0]
        found = table.search(vector).distance_type("cosine").limit(top_k)
        if modality is not None:
            found = found.where(f"modality = '{modality}'", prefilter=True)
        columns = ["id", "modality", "text", "metadata", "_distance"]
        rows = found.select(columns).to_list()
        answer = Answer(
            query=query,
            results=[
                Item(
                    id=row["id"],
                    modality=row["modality"],
                    score=1 - row["_distance"],
                    metadata=json.loads(row["metadata"]),
                    text_preview=row["text"][:200] if row["text"] else None,
                )
                for row in rows
            ],
            total_hits=len(rows),
            query_time_ms=(time.perf_counter() - began) * 1000,
        )
        if len(cache) >= CACHE_ENTRIES:
            cache.pop(next(iter(cache)))
        cache[key] = (time.time(), answer)
        return answer

    @app.post("/ingest")
    async def ingest(files: list[UploadFile]) -> dict[str, int]:
        rows = []
        for file in files:
            content = await file.read()
            name = file.filename or ""
            if name.endswith((".jpg", ".png")):
                image = Image.open(io.BytesIO(content)).convert("RGB")
                vector, text, modality = model.encoders["image"].encode([image])[0], "", "image"
                rows.append(_row(vector, text, modality, name))
                continue
            for passage in content.decode("utf-8").split("\n\n"):
                rows.append(_row(model.text.encode([passage])[0], passage, "text", name))
        table.add(rows)
        return {"added": len(rows)}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def _row(vector: Any, text: str, modality: str, name: str) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex,
        "modality": modality,
        "text": text,
        "metadata": json.dumps({"source": name}),
        "vector": vector,
    }


if __name__ == "__main__":
    application = create_app(Path(sys.argv[1]))
    print(f"http://127.0.0.1:{sys.argv[2]}", flush=True)
    uvicorn.run(application, port=int(sys.argv[2]), log_level="warning", access_log=False)
