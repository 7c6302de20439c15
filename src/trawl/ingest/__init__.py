"""Add files to a library: plan, read, split into chunks, embed, commit."""

from trawl.ingest.drafts import ChunkingOptions
from trawl.ingest.embedding import text_embedding
from trawl.ingest.engine import Engine, LocalEngine
from trawl.ingest.items import Item, Plan
from trawl.ingest.members import open_member
from trawl.ingest.names import (
    MEMBER,
    document_id_of,
    is_file,
    is_file_gone,
    leads_to,
    named_path,
    outer_path,
    path_of,
    uri_of,
)
from trawl.ingest.pipeline import Ingester, OnChange, PagesRead, Progress
from trawl.ingest.plan import make_plan
from trawl.ingest.prefixes import is_as_added
from trawl.ingest.reading import IngestOptions

RECIPE_VERSION = 3
"""Increased when a change of the readers or the chunking changes the chunks of a file, so that
adding the file again replaces them."""

__all__ = [
    "MEMBER",
    "RECIPE_VERSION",
    "ChunkingOptions",
    "Engine",
    "IngestOptions",
    "Ingester",
    "Item",
    "LocalEngine",
    "OnChange",
    "PagesRead",
    "Plan",
    "Progress",
    "document_id_of",
    "is_as_added",
    "is_file",
    "is_file_gone",
    "leads_to",
    "make_plan",
    "named_path",
    "open_member",
    "outer_path",
    "path_of",
    "text_embedding",
    "uri_of",
]
