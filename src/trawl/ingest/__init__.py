"""Adding files: plan what to read, read, cut, embed, commit."""

from trawl.ingest.drafts import ChunkingOptions
from trawl.ingest.pipeline import Ingest, IngestOptions, Progress
from trawl.ingest.plan import Item, Plan, document_id_of, make_plan, path_of, uri_of

RECIPE_VERSION = 1
"""Raised when readers or chunking come to give something else for the same file, so that
adding the file again replaces what is there."""

__all__ = [
    "RECIPE_VERSION",
    "ChunkingOptions",
    "Ingest",
    "IngestOptions",
    "Item",
    "Plan",
    "Progress",
    "document_id_of",
    "make_plan",
    "path_of",
    "uri_of",
]
