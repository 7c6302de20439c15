"""What a person looks at: pages, pictures in full, the loudness of recordings.

Files are decoded in reader processes of their own, which are stopped if they take too long.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

from trawl.errors import NotFoundError, ReadError
from trawl.library.copies import Copies
from trawl.readers import views
from trawl.readers.child import Task
from trawl.readers.formats import Limits
from trawl.readers.process import ReaderPool
from trawl.readers.views import Peaks
from trawl.settings import Settings
from trawl.store import DocumentRow, Store
from trawl.types import Box, Region, StoredChunk

MIN_WIDTH_PX, MAX_WIDTH_PX = 64, 2_400
MAX_PEAKS = 2_000
_PDF = "application/pdf"
_LONGEST_S = 10.0
_RECIPE = 1
"""Increased when views change, so that copies of earlier ones are not used any more."""

T = TypeVar("T", bytes, Peaks)
_Draw: TypeAlias = Callable[[Path, Limits], object]


@dataclass(frozen=True, slots=True)
class View:
    """A view that is not made yet. `tag` is equal for equal views."""

    document: DocumentRow
    tag: str
    what: str
    draw: _Draw


class Views:
    """The views of a library's files. Thread-safe."""

    def __init__(self, store: Store, settings: Settings, copies: Copies) -> None:
        self._store = store
        self._copies = copies
        timeout_s = min(settings.reader_timeout_s, _LONGEST_S)
        self._readers = ReaderPool(timeout_s, settings.reader_memory_mb)
        self._limits = Limits(settings.max_pixels)

    def close(self) -> None:
        """End the processes."""
        self._readers.close()

    def page(self, chunk_id: str, *, page: int | None = None, width_px: int) -> View:
        """Return the view of a page of a chunk's PDF: a JPEG file with the chunk's boxes marked.

        By default that is the first page of the chunk. Raises `NotFoundError` if the document has
        no pages, and `GoneError`.
        """
        document, chunk = self._found(chunk_id)
        if document.media_type != _PDF:
            raise NotFoundError(
                f"document {document.document_id} is {document.media_type}, which has no pages; "
                "pages are drawn of PDF documents"
            )
        number = page or chunk.span.page or 1
        regions = chunk.span.regions or _region(chunk)
        boxes = tuple(one.box for one in regions if one.page == number)
        draw = partial(views.page_jpeg, page=number, boxes=boxes, width_px=width_px)
        return self._view(document, f"page {number}", draw, (number, boxes, width_px))

    def picture(self, chunk_id: str, *, width_px: int) -> View:
        """Return the view of a picture, a figure or a shot: a JPEG file.

        Raises `NotFoundError` if the chunk is no picture, and `GoneError`.
        """
        document, chunk = self._found(chunk_id)
        if chunk.modality != "image":
            raise NotFoundError(f"chunk {chunk_id} is not a picture but {chunk.modality}")
        page, box = chunk.span.page or 1, chunk.span.box
        start_s, end_s = chunk.span.start_s, chunk.span.end_s
        draw: _Draw
        if document.media_type == _PDF and box is not None:
            small = self._store.thumbnail(chunk_id)
            draw = partial(views.figure_jpeg, page=page, box=box, small=small, width_px=width_px)
        elif document.media_type == _PDF:
            draw = partial(views.page_jpeg, page=page, boxes=(), width_px=width_px)
        elif start_s is not None and end_s is not None:
            draw = partial(
                views.shot_jpeg,
                media_type=document.media_type,
                start_s=start_s,
                end_s=end_s,
                width_px=width_px,
            )
        else:
            others = self._store.snapshot().chunks(document.document_id)
            ids = [one.chunk_id for one in others if one.modality == "image"]
            draw = partial(
                views.picture_jpeg,
                media_type=document.media_type,
                number=ids.index(chunk_id),
                width_px=width_px,
            )
        return self._view(document, "the picture", draw, (chunk_id.rpartition(":")[2], width_px))

    def peaks(self, chunk_id: str, *, count: int) -> View:
        """Return the view of the loudness of a chunk's whole recording: `Peaks`.

        Raises `NotFoundError` if the document has no sound, and `GoneError`.
        """
        document, _ = self._found(chunk_id)
        if not document.media_type.startswith(("audio/", "video/")):
            raise NotFoundError(
                f"document {document.document_id} is {document.media_type}, which has no sound"
            )
        draw = partial(views.peaks_of, media_type=document.media_type, count=count)
        return self._view(document, "the sound", draw, ("peaks", count))

    def make(self, view: View, kind: type[T]) -> T:
        """Return a view, made now. Raises `ReadError` and `GoneError`."""
        original = self._copies.open(view.document)
        with original.on_disk() as file:
            # The file that was opened and checked, rather than what is now at its path.
            path = Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")
            try:
                made = self._readers.run(Task(view.draw, path, self._limits))
            except ReadError as error:
                raise ReadError(f"{view.what} of {original.name!r}: {error}") from error
        assert isinstance(made, kind)
        return made

    def _found(self, chunk_id: str) -> tuple[DocumentRow, StoredChunk]:
        document = self._store.document(chunk_id.partition(":")[0])
        chunk = self._store.snapshot().chunk(chunk_id)
        if document is None or chunk is None:
            raise NotFoundError(f"no chunk {chunk_id!r} in this library")
        return document, chunk

    def _view(
        self, document: DocumentRow, what: str, draw: _Draw, choices: tuple[object, ...]
    ) -> View:
        original = self._copies.open(document)
        original.file.close()
        text = repr((_RECIPE, what, original.tag, document.document_id, choices))
        return View(document, hashlib.sha256(text.encode()).hexdigest()[:32], what, draw)


def _region(chunk: StoredChunk) -> tuple[Region, ...]:
    box: Box | None = chunk.span.box
    return (Region(chunk.span.page or 1, box),) if box is not None else ()
