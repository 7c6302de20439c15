"""Asking a Trawl server from Python: the answers are those of `trawl.Library`.

`Client` and `AsyncClient` differ in waiting alone: what is asked, asked again and made of
the answers is described once, in `operations`. Needs httpx:
`pip install "trawl-multimodal[client]"`.

::

    with Client("http://127.0.0.1:8000") as client:
        job = client.add(["figure.png", "notes.md"], metadata={"topic": "physics"})
        for hit in client.search("decay of the muon", modality="image").hits:
            print(hit.score, hit.title)
"""

from trawl.client.clients import AsyncClient, Client
from trawl.client.exchange import ServerError
from trawl.client.operations import Part
from trawl.client.records import Document, DocumentContents, DocumentPage, Job, MediaPart
from trawl.types import StoredChunk as Chunk

__all__ = [
    "AsyncClient",
    "Chunk",
    "Client",
    "Document",
    "DocumentContents",
    "DocumentPage",
    "Job",
    "MediaPart",
    "Part",
    "ServerError",
]
