"""The tools search, similar, show and status. Results include pictures as images."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, TypeAlias

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from trawl.display import place_text
from trawl.errors import GoneError, NotFoundError, TrawlError
from trawl.library.interface import DocumentInfo, SearchLibrary
from trawl.types import Answer, Hit, Modality, Status, StoredChunk

_INSTRUCTIONS = (
    "A library of texts, pictures and sounds with semantic and full-text search. "
    "Start with `search`. `status` lists the metadata keys that filters can use. `show` "
    "returns a full passage or picture by the id of a result."
)
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_MAX_PICTURE_BYTES = 3 * 2**20
_MAX_PICTURES = 5
_MAX_FAILURES = 10
_MARKS = re.compile(r"</?mark>")
_PLACES = 5

Content: TypeAlias = list[str | Image]

Query = Annotated[
    str,
    Field(
        min_length=1,
        max_length=4000,
        description='Query text. Optional operators: "a phrase", +must, -without, '
        "word~ (fuzzy), year:>=2020, modality:image, like:ID.",
    ),
]
Modalities = Annotated[
    list[Modality] | None, Field(description="Only results of these modalities; all if empty.")
]
Where = Annotated[
    str | None,
    Field(
        description="Metadata filter, such as: year >= 2020 and topic in ('a', 'b'). "
        "`status` lists the keys.",
    ),
]
Limit = Annotated[int, Field(ge=1, le=50, description="Maximum number of results.")]
Pictures = Annotated[bool, Field(description="Include the pictures among the results.")]


def make_server(library: SearchLibrary, version: str) -> MCPServer:
    """Return an MCP server for a library."""
    server = MCPServer("trawl", instructions=_INSTRUCTIONS, version=version, log_level="WARNING")

    def tool(title: str) -> Callable[[Callable[..., Content]], Callable[..., Content]]:
        return server.tool(title=title, annotations=_READS, structured_output=False)

    @tool("Search the library")
    def search(
        query: Query,
        modalities: Modalities = None,
        where: Where = None,
        limit: Limit = 10,
        pictures: Pictures = True,
    ) -> Content:
        """Search passages, pictures and sound segments. Returns them with ids, best first.

        The score is the probability, 0 to 1, that a result is a good match. If there is no
        good match, the answer says so and lists the nearest results.
        """
        with _tool_errors():
            answer = library.query(query, modality=modalities, where=where, limit=limit)
            return [_answer_text(answer), *(_thumbnails(library, answer) if pictures else [])]

    @tool("Find similar results")
    def similar(
        id: Annotated[str, Field(description="The id of a result, such as 3f2a…:0.")],
        modalities: Modalities = None,
        limit: Limit = 10,
        pictures: Pictures = True,
    ) -> Content:
        """Search for passages, pictures or sounds like a result, in other documents."""
        with _tool_errors():
            answer = library.similar(id, modality=modalities, limit=limit)
            return [_answer_text(answer), *(_thumbnails(library, answer) if pictures else [])]

    @tool("Show a result or a document")
    def show(
        id: Annotated[str, Field(description="The id of a result (3f2a…:0) or of a document.")],
    ) -> Content:
        """Return a full passage or picture, or a whole document."""
        with _tool_errors():
            contents = library.show(id)
            document = contents.document
            chunks = [
                chunk for chunk in contents.chunks if id in (chunk.chunk_id, document.document_id)
            ]
            if not chunks and id != document.document_id:
                raise NotFoundError(f"no chunk {id!r} in this library; use the id of a result")
            images = [chunk.chunk_id for chunk in chunks if chunk.modality == "image"]
            pictures = [_picture(library, chunk_id) for chunk_id in images[:_MAX_PICTURES]]
            return [_document_text(document, chunks), *pictures]

    @tool("Describe the library")
    def status() -> Content:
        """Return the number of documents and chunks, and the metadata keys for filters."""
        with _tool_errors():
            return [_status_text(library.status(), library.columns())]

    return server


def serve(library: SearchLibrary, version: str) -> None:
    """Serve a library over stdin and stdout until stdin ends."""
    make_server(library, version).run("stdio")


@contextlib.contextmanager
def _tool_errors() -> Iterator[None]:
    """Return Trawl's errors as results, so that the assistant can correct its call."""
    try:
        yield
    except TrawlError as error:
        raise ToolError(str(error)) from error


# --- pictures --------------------------------------------------------------------------


def _thumbnails(library: SearchLibrary, answer: Answer) -> Content:
    """Return thumbnails of the first pictures of an answer, each after its id."""
    images = [hit.chunk_id for hit in answer.hits if hit.modality == "image"]
    content: Content = []
    for chunk_id in images[:_MAX_PICTURES]:
        content += [f"{chunk_id}:", Image(data=library.thumbnail(chunk_id), format="jpeg")]
    return content


def _picture(library: SearchLibrary, chunk_id: str) -> Image:
    """Return the original file, or a thumbnail if it is large, changed or of another format."""
    with contextlib.suppress(GoneError):
        original = library.original(chunk_id)
        with original.file as file:
            if original.media_type in _IMAGE_TYPES and original.size_bytes <= _MAX_PICTURE_BYTES:
                return Image(data=file.read(), format=original.media_type.partition("/")[2])
    return Image(data=library.thumbnail(chunk_id), format="jpeg")


# --- text ------------------------------------------------------------------------------


def _answer_text(answer: Answer) -> str:
    if not answer.hits:
        return "\n".join(["No results.", *answer.notices])
    lines = ["No good match; these are the nearest results."] if answer.no_good_match else []
    lines += [_hit_text(hit) for hit in answer.hits]
    lines += [
        f"{facet.key}: " + ", ".join(f"{value} ({count})" for value, count in facet.counts)
        for facet in answer.facets
    ]
    return "\n".join([*lines, *answer.notices])


def _hit_text(hit: Hit) -> str:
    snippet = " ".join(html.unescape(_MARKS.sub("**", hit.snippet)).split())
    lines = [
        f"{hit.rank}. [{hit.modality}] {hit.title}  score {hit.score:.2f}",
        f"   id: {hit.chunk_id}  file: {hit.uri}{_place(hit)}",
    ]
    if hit.gone:
        lines.append("   the file is gone")
    if hit.places:
        lines.append(f"   same content: {', '.join(one.uri for one in hit.places[:_PLACES])}")
    if snippet:
        lines.append(f"   {snippet}")
    if hit.metadata:
        lines.append(f"   {_metadata_text(hit.metadata)}")
    return "\n".join(lines)


def _document_text(document: DocumentInfo, chunks: Iterable[StoredChunk]) -> str:
    lines = [
        f"{document.title} ({document.media_type}, {document.size_bytes:,} bytes)",
        f"document: {document.document_id}",
        f"file: {document.uri}",
    ]
    if document.metadata:
        lines.append(f"metadata: {_metadata_text(document.metadata)}")
    if document.error:
        lines.append(f"error: {document.error}")
    for chunk in chunks:
        place = _place(chunk)
        lines += ["", f"[{chunk.modality}] {chunk.chunk_id}{place}"]
        if chunk.text:
            lines.append(chunk.text)
        if chunk.words:
            lines.append(f"text in the picture: {chunk.words}")
        lines += [
            f"{link.kind.replace('_', ' ')} {link.label}: {link.chunk_id}" for link in chunk.links
        ]
    return "\n".join(lines)


def _status_text(status: Status, columns: Mapping[str, str]) -> str:
    chunks = ", ".join(f"{count:,} {modality}" for modality, count in status.chunks.items())
    lines = [
        f"{status.documents:,} documents; chunks: {chunks}",
        "filter keys: " + ", ".join(f"{key} ({kind})" for key, kind in columns.items()),
    ]
    if status.failed:
        lines.append(f"{len(status.failed):,} files could not be read:")
        lines += [f"- {one.uri}: {one.reason}" for one in status.failed[:_MAX_FAILURES]]
    return "\n".join(lines)


def _place(hit: Hit | StoredChunk) -> str:
    places = ", ".join(place for place in (hit.detail, place_text(hit)) if place)
    return f"  ({places})" if places else ""


def _metadata_text(metadata: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{key}: {', '.join(value) if isinstance(value, list) else value}"
        for key, value in metadata.items()
    )
