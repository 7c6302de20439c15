"""Which files have to be added again when another one changes.

A sidecar and a folder's table describe other files. The captions of pictures are in the Markdown
files and pages that show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from trawl.errors import ReadError
from trawl.ingest import named_path
from trawl.readers import SHOWING, TABLE_NAMES, media_type_of, picture_links


class Dependents:
    """The pictures that documents show, as far as they are known."""

    def __init__(self) -> None:
        self._shown: dict[Path, frozenset[Path]] = {}

    def learn(self, shown: Mapping[Path, Iterable[Path]]) -> None:
        """Add documents with the pictures that they show."""
        for document, pictures in shown.items():
            self._set(document, frozenset(pictures))

    def of(self, changed: Iterable[Path]) -> set[Path]:
        """Return the files that changed, and all that depend on them."""
        found = set(changed)
        for path in list(found):
            found |= _described_by(path)
            if path.suffix.lower() in SHOWING:
                found |= self._shown.get(path, frozenset())
                self._set(path, _pictures(path))
                found |= self._shown.get(path, frozenset())
        # All documents that show a picture, since the first one with a caption counts.
        for document, pictures in self._shown.items():
            if not pictures.isdisjoint(found):
                found.add(document)
        return found

    def _set(self, document: Path, pictures: frozenset[Path]) -> None:
        if pictures:
            self._shown[document] = pictures
        else:
            self._shown.pop(document, None)


def _described_by(path: Path) -> set[Path]:
    """Return the files whose metadata is in `path`, none if it is no sidecar."""
    if path.name in TABLE_NAMES:
        with suppress(OSError):
            return {one for one in path.parent.iterdir() if not one.name.startswith(".")}
    described = path.with_suffix("")
    return {described} if path.suffix and described.is_file() else set()


def _pictures(document: Path) -> frozenset[Path]:
    with suppress(ReadError, OSError, RuntimeError):
        media_type = media_type_of(document)
        if media_type is not None:
            links = picture_links(document, media_type)
            return frozenset(named_path(link.path) for link in links)
    return frozenset()
