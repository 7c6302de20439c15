"""What adding needs to know of a library: its encoders, and how it cuts what it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from trawl.encoders import Encoder, Model
from trawl.ingest import RECIPE_VERSION, ChunkingOptions, IngestOptions
from trawl.settings import Settings
from trawl.types import Modality


def encoders_of(models: Sequence[Model]) -> Mapping[Modality, list[tuple[str, Encoder]]]:
    """Give each modality's encoders, with the names of the sources that they fill."""
    found: dict[Modality, list[tuple[str, Encoder]]] = {}
    for model in models:
        for modality, encoder in model.encoders.items():
            found.setdefault(modality, []).append((model.source(modality), encoder))
    return found


def options_of(settings: Settings, models: Sequence[Model]) -> IngestOptions:
    """Give how files are cut. Whatever changes what becomes of a file is in the recipe."""
    chunking = ChunkingOptions(
        chunk_tokens=settings.chunk_tokens,
        chunk_overlap_tokens=settings.chunk_overlap_tokens,
        window_s=settings.window_s,
        hop_s=settings.hop_s,
    )
    recipe = {
        "version": RECIPE_VERSION,
        "spaces": [model.space.fingerprint for model in models],
        **asdict(chunking),
    }
    return IngestOptions(chunking, recipe, settings.max_pixels, settings.threads)
