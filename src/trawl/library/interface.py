"""The interface that `Library` and a library behind a server share."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Unpack

from trawl.library.originals import Original
from trawl.library.skipped import Skipped
from trawl.search import Candidates, Liked, Question, SearchKeywords
from trawl.types import Answer, Facet, Metadata, Modality, Place, Report, Status, StoredChunk


class DocumentInfo(Protocol):
    """The fields of a document that are available locally and from a server."""

    @property
    def document_id(self) -> str: ...
    @property
    def uri(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def added_at(self) -> datetime.datetime: ...
    @property
    def metadata(self) -> Metadata: ...
    @property
    def error(self) -> str | None: ...
    @property
    def notices(self) -> tuple[str, ...]: ...


class DocumentView(Protocol):
    """A document with its chunks, in document order."""

    @property
    def document(self) -> DocumentInfo: ...
    @property
    def chunks(self) -> Sequence[StoredChunk]: ...
    @property
    def places(self) -> Sequence[Place]: ...
    @property
    def gone(self) -> bool: ...


class DocumentList(Protocol):
    """A page of documents; `total` counts the documents of all pages."""

    @property
    def documents(self) -> Sequence[DocumentInfo]: ...
    @property
    def total(self) -> int: ...


class SearchLibrary(Protocol):
    """The methods of `Library` that also work on a server. `Library` documents them."""

    def search(
        self,
        text: str | None = None,
        *,
        image: str | Path | None = None,
        audio: str | Path | None = None,
        like: str | None = None,
        where: str | None = None,
        **changes: Unpack[SearchKeywords],
    ) -> Answer: ...

    def query(
        self,
        line: str,
        *,
        image: str | Path | None = None,
        audio: str | Path | None = None,
        like: str | None = None,
        where: str | None = None,
        **changes: Unpack[SearchKeywords],
    ) -> Answer: ...

    def similar(
        self, chunk_id: str, *, where: str | None = None, **changes: Unpack[SearchKeywords]
    ) -> Answer: ...

    def candidates(self, question: Question) -> Candidates: ...

    def liked(self, chunk_id: str) -> Liked: ...

    def show(self, target: str) -> DocumentView: ...

    def document_page(
        self,
        *,
        failed: bool | None = None,
        notices: bool | None = None,
        where: str | None = None,
        name: str | None = None,
        sort: str | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> DocumentList: ...

    def facets(
        self,
        keys: Sequence[str],
        *,
        where: str | None = None,
        modality: Collection[Modality] = (),
        limit: int = 100,
    ) -> tuple[Facet, ...]: ...

    def status(self) -> Status: ...

    def skipped(self) -> Skipped: ...

    def columns(self) -> Mapping[str, str]: ...

    def thumbnail(self, chunk_id: str) -> bytes: ...

    def original(self, chunk_id: str) -> Original: ...

    def add(
        self,
        paths: Iterable[str | Path],
        *,
        metadata: Mapping[str, Any] | None = None,
        prune: bool = False,
        retry_failed: bool = False,
        skip_duplicates: bool = False,
        copy: bool = False,
        engine: Any = "local",
        progress: Callable[[int, int, str], None] | None = None,
        pages: Callable[[str, int, int | None], None] | None = None,
    ) -> Report: ...

    def add_json_lines(
        self,
        stream: BinaryIO,
        *,
        metadata: Mapping[str, Any] | None = None,
        uri_key: str = "uri",
        text_key: str = "text",
        progress: Callable[[int, int, str], None] | None = None,
        pages: Callable[[str, int, int | None], None] | None = None,
    ) -> Report: ...

    def remove(self, targets: Sequence[str]) -> int: ...

    def set_metadata(
        self,
        target: str,
        changes: Mapping[str, Any],
        *,
        add: Mapping[str, Any] | None = None,
        remove: Mapping[str, Any] | None = None,
    ) -> DocumentInfo: ...
