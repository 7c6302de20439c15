"""`trawl mcp`, spoken to by the SDK's own client over stdin and stdout."""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import mcp
import pytest
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import Image

from conftest import write_collection
from trawl import Library, __version__
from trawl.mcp import make_server

TRAWL = Path(sys.executable).with_name("trawl")
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assisted")
    write_collection(folder / "collection")
    with Library(folder / "lib", create=True) as library:
        assert library.add(folder / "collection").failed == ()
    return folder


@asynccontextmanager
async def assistant(place: Path) -> AsyncIterator[mcp.Client]:
    """Start the command as an assistant does."""
    command = mcp.StdioServerParameters(
        command=str(TRAWL), args=["mcp", "--library", str(place / "lib")], env=dict(os.environ)
    )
    async with mcp.Client(command) as client:
        yield client


def text(result: CallToolResult) -> str:
    return "\n".join(one.text for one in result.content if isinstance(one, TextContent))


def pictures(result: CallToolResult) -> list[Image.Image]:
    found = [one for one in result.content if isinstance(one, ImageContent)]
    opened = [Image.open(io.BytesIO(base64.b64decode(one.data))) for one in found]
    for one, picture in zip(found, opened, strict=True):
        assert one.mime_type == f"image/{(picture.format or '').lower()}"
    return opened


async def test_a_library_is_used_by_an_assistant(place: Path) -> None:
    async with assistant(place) as client:
        assert client.server_info.name == "trawl"
        assert client.server_info.version == __version__
        assert client.instructions
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"search", "similar", "show", "status"}
        for tool in tools.values():
            assert tool.description
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint
        found = await client.call_tool("search", {"query": "decay curve of the muon"})
        assert not found.is_error
        said = text(found)
        assert "[text] Muon decay" in said
        assert "year: 2021" in said
        assert {picture.format for picture in pictures(found)} == {"JPEG"}
        chunk_id = next(line.split()[1] for line in said.splitlines() if line.startswith("   id: "))
        similar = await client.call_tool("similar", {"id": chunk_id, "limit": 2})
        assert not similar.is_error
        assert chunk_id not in text(similar)
        status = text(await client.call_tool("status", {}))
        assert "6 documents" in status
        assert "year (integer)" in status


async def test_pictures_are_pictures(place: Path) -> None:
    with Library(place / "lib") as library:
        async with mcp.Client(make_server(library, "1")) as client:
            arguments = {"query": "red sunset", "modalities": ["image"], "limit": 1}
            found = await client.call_tool("search", arguments)
            assert len(pictures(found)) == 1
            plain = await client.call_tool("search", {**arguments, "pictures": False})
            assert pictures(plain) == []
            hit = library.search("red sunset", modality="image", limit=1).hits[0]
            shown = await client.call_tool("show", {"id": hit.chunk_id})
            assert "a red sunset over the sea" in text(shown)
            (whole,) = pictures(shown)
            assert whole.format == "JPEG"
            assert whole.size == (160, 120)
            # A file that is not what was added is shown as what is kept of it.
            Path(hit.uri).write_bytes(Path(hit.uri).read_bytes() + b"\0")
            again = await client.call_tool("show", {"id": hit.chunk_id})
            assert len(pictures(again)) == 1


async def test_show_gives_whole_documents_and_whole_passages(place: Path) -> None:
    with Library(place / "lib") as library:
        async with mcp.Client(make_server(library, "1")) as client:
            chunk = library.show(place / "collection" / "long.txt").chunks[1]
            one = text(await client.call_tool("show", {"id": chunk.chunk_id}))
            assert chunk.text in one
            document = text(await client.call_tool("show", {"id": chunk.document_id}))
            assert "Section 0" in document
            assert "Section 39" in document
            assert len(document) > len(one)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("search", {"query": "muon", "where": "colour = 'red'"}, "colour"),
        ("search", {"query": "muon year:>=("}, "character"),
        ("search", {"query": "muon", "limit": 0}, "limit"),
        ("search", {"query": "muon", "modalities": ["video"]}, "modalities"),
        ("similar", {"id": "0" * 24 + ":0"}, "no chunk"),
        ("show", {"id": "nothing"}, "no document or chunk"),
        ("show", {}, "id"),
    ],
)
async def test_errors_can_be_read(
    place: Path, tool: str, arguments: dict[str, object], said: str
) -> None:
    with Library(place / "lib") as library:
        async with mcp.Client(make_server(library, "1")) as client:
            result = await client.call_tool(tool, arguments)
            assert result.is_error
            assert said in text(result)
            assert "Traceback" not in text(result)


async def test_nothing_found_is_said(place: Path, tmp_path: Path) -> None:
    with Library(tmp_path / "empty", create=True) as library:
        async with mcp.Client(make_server(library, "1")) as client:
            assert "No results." in text(await client.call_tool("search", {"query": "muon"}))
