"""A client for Trawl servers. Its answers are those of `trawl.Library`.

Requires httpx: `pip install "trawl-multimodal[client]"`.

::

    with Client("http://127.0.0.1:8000") as client:
        job = client.add(["figure.png", "notes.md"], metadata={"topic": "physics"})
        for hit in client.search("decay of the muon", modality="image").hits:
            print(hit.score, hit.title)

`AsyncClient` has the same methods to await. `operations` defines each of them once.
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
