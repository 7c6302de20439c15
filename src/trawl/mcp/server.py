"""The tools: search, similar, show and status. Pictures come back as pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Protocol, TypeAlias

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from trawl.errors import GoneError, NotFoundError, TrawlError
from trawl.library import Original
from trawl.mcp.text import answer_text, status_text
from trawl.mcp.text import shown_text as shown_in_words
from trawl.types import Answer, Modality, Status

_INSTRUCTIONS = (
    "A library of texts, pictures and sounds, searched by meaning and by words at once. "
    "Begin with `search`; `status` says what is in the library and which metadata can be "
    "filtered by; `show` gives a whole passage or picture by the id of a result."
)
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
_SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_MOST_PICTURE_BYTES = 3 * 2**20
_MOST_PICTURES = 5

Said: TypeAlias = list[str | Image]

Query = Annotated[
    str,
    Field(
        min_length=1,
        max_length=4000,
        description='What to look for, in plain words. Signs narrow it: "a phrase", +must, '
        "-without, word~ (misspelt), year:>=2020, modality:image, like:ID.",
    ),
]
Modalities = Annotated[
    list[Modality] | None, Field(description="Find only these; texts, pictures and sounds if none.")
]
Where = Annotated[
    str | None,
    Field(
        description="A filter of metadata, such as: year >= 2020 and topic in ('a', 'b'). "
        "`status` names the keys.",
    ),
]
Limit = Annotated[int, Field(ge=1, le=50, description="How many results, at most.")]
Pictures = Annotated[bool, Field(description="Whether to show the pictures that were found.")]


class Asked(Protocol):
    """What answers: a `trawl.Library`, or a server in its place."""

    def query(
        self, line: str, *, where: str | None, modality: Collection[Modality], limit: int
    ) -> Answer:
        """Search by a line of the query language."""
        ...

    def similar(self, chunk_id: str, *, modality: Collection[Modality], limit: int) -> Answer:
        """Search for chunks like a chunk."""
        ...

    def show(self, target: str) -> Any:
        """Give a document with its chunks."""
        ...

    def status(self) -> Status:
        """Tell what is in it."""
        ...

    def columns(self) -> Mapping[str, str]:
        """Tell what can be filtered by."""
        ...

    def thumbnail(self, chunk_id: str) -> bytes:
        """Give a picture made small, a JPEG."""
        ...

    def original(self, chunk_id: str) -> Original:
        """Open the file that a chunk is of."""
        ...


def make_server(asked: Asked, version: str) -> MCPServer:
    """Give a server with a library's tools."""
    server = MCPServer("trawl", instructions=_INSTRUCTIONS, version=version, log_level="WARNING")

    def tool(title: str) -> Callable[[Callable[..., Said]], Callable[..., Said]]:
        return server.tool(title=title, annotations=_READS, structured_output=False)

    @tool("Search the library")
    def search(
        query: Query,
        modalities: Modalities = None,
        where: Where = None,
        limit: Limit = 10,
        pictures: Pictures = True,
    ) -> Said:
        """Find passages, pictures and moments of sound, best first, with their ids.

        A score is the chance, 0 to 1, that a result is a good match. Where nothing is one,
        that is said, and the nearest there is comes back.
        """
        with _readable():
            answer = asked.query(query, modality=modalities or (), where=where, limit=limit)
            return [answer_text(answer), *_pictures(asked, answer, wanted=pictures)]

    @tool("Find what is like a result")
    def similar(
        id: Annotated[str, Field(description="The id of a result, such as 3f2a…:0.")],
        modalities: Modalities = None,
        limit: Limit = 10,
        pictures: Pictures = True,
    ) -> Said:
        """Find what is like a passage, a picture or a sound, in other documents."""
        with _readable():
            answer = asked.similar(id, modality=modalities or (), limit=limit)
            return [answer_text(answer), *_pictures(asked, answer, wanted=pictures)]

    @tool("Show a result or a document")
    def show(
        id: Annotated[str, Field(description="The id of a result (3f2a…:0) or of a document.")],
    ) -> Said:
        """Give a result whole, the picture itself or the full passage, or a whole document."""
        with _readable():
            shown = asked.show(id)
            chunks = [chunk for chunk in shown.chunks if id in (chunk.chunk_id, shown_id(shown))]
            if not chunks and id != shown_id(shown):
                raise NotFoundError(f"no chunk {id!r} in this library; give the id of a result")
            said: Said = [shown_in_words(shown.document, chunks)]
            images = [chunk.chunk_id for chunk in chunks if chunk.modality == "image"]
            return said + [_picture(asked, chunk_id) for chunk_id in images[:_MOST_PICTURES]]

    @tool("What is in the library")
    def status() -> Said:
        """Tell how much is in the library, and which metadata can be filtered by."""
        with _readable():
            return [status_text(asked.status(), asked.columns())]

    return server


def serve(asked: Asked, version: str) -> None:
    """Serve a library's tools over stdin and stdout until stdin ends."""
    make_server(asked, version).run("stdio")


def shown_id(shown: Any) -> str:
    """Give the id of the document that is shown."""
    return str(shown.document.document_id)


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Say what went wrong as the result of a tool, so that an assistant can do better."""
    try:
        yield
    except TrawlError as error:
        raise ToolError(str(error)) from error


def _pictures(asked: Asked, answer: Answer, *, wanted: bool) -> Sequence[str | Image]:
    """Give the first pictures of a list, made small, each under its id."""
    said: Said = []
    for hit in answer.hits:
        if wanted and hit.modality == "image" and len(said) < 2 * _MOST_PICTURES:
            said += [f"{hit.chunk_id}:", Image(data=asked.thumbnail(hit.chunk_id), format="jpeg")]
    return said


def _picture(asked: Asked, chunk_id: str) -> Image:
    """Give a picture as it is, or made small where it is large, changed, or of another format."""
    with contextlib.suppress(GoneError):
        original = asked.original(chunk_id)
        with original.file as file:
            if original.media_type in _SHOWN and original.size_bytes <= _MOST_PICTURE_BYTES:
                return Image(data=file.read(), format=original.media_type.partition("/")[2])
    return Image(data=asked.thumbnail(chunk_id), format="jpeg")
