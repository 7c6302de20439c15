"""Define the bodies of responses about the map of the library."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from trawl.types import Modality
from trawl.wire.documents import ChunkOut


class MapState(BaseModel):
    """The state of the map."""

    state: Literal["ready", "computing", "failed"] = Field(
        description="`ready`: it has all chunks of the library. `computing`: it is being computed; "
        "earlier points remain available."
    )
    progress: float = Field(description="Progress of the computation, 0 to 1.", examples=[0.4])
    error: str | None = Field(None, description="Why it could not be computed.")
    tag: str | None = Field(description="Identifies the points; null if there are none yet.")
    version: str | None = Field(
        description="Version of the projection, named by regions (the option `map` of a search)."
    )
    points: int = Field(description="Number of points.")
    counts: dict[Modality, int] = Field(description="Number of points of each modality.")


class MapChunk(BaseModel):
    """The chunk at a point."""

    at: int = Field(description="Index of the point.")
    chunk: ChunkOut


class MapChunks(BaseModel):
    """Chunks at points, and points of chunks."""

    chunks: list[MapChunk]
    indexes: dict[str, int] = Field(description="Index of the point of each chunk, by id.")
