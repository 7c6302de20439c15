"""Documents that nearly repeat another one, which `add` leaves out on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trawl.likeness import PICTURE_BYTES, TEXT_BYTES, Prints, same_picture

# The share of the sequences of three words that two texts have in common, estimated from prints.
# An insertion shifts all passages behind it, so the texts are compared as a whole.
_SHARED = 0.85


class Originals:
    """The documents of a library, to find one that a new document nearly repeats.

    Compares a picture that is a document of its own with all such pictures, and a text with all
    texts. Documents with several pictures, with both, or with sounds are never duplicates.
    """

    def __init__(self, prints: Mapping[str, Sequence[bytes]]) -> None:
        self._owners: dict[bool, list[str]] = {True: [], False: []}
        self._prints: dict[bool, list[bytes]] = {True: [], False: []}
        self._index = {True: Prints(), False: Prints()}
        for document_id, found in prints.items():
            self.add(document_id, found)

    def like(self, document_id: str, prints: Sequence[bytes]) -> str | None:
        """Return the id of another document with nearly the same content, or None."""
        whole = _of_document(prints)
        if whole is None:
            return None
        is_text = len(whole) == TEXT_BYTES
        for place in map(int, self._index[is_text].like(whole)):
            owner, known = self._owners[is_text][place], self._prints[is_text][place]
            if owner != document_id and _same(known, whole):
                return owner
        return None

    def add(self, document_id: str, prints: Sequence[bytes]) -> None:
        """Remember a document, by the prints of its chunks."""
        whole = _of_document(prints)
        if whole is not None:
            is_text = len(whole) == TEXT_BYTES
            self._owners[is_text].append(document_id)
            self._prints[is_text].append(whole)
            self._index[is_text].extend([whole])


def _of_document(prints: Sequence[bytes]) -> bytes | None:
    """Return the print of a picture, or of all passages together; None for other documents."""
    lengths = {len(each) for each in prints}
    if lengths == {PICTURE_BYTES} and len(prints) == 1:
        return prints[0]
    if lengths == {TEXT_BYTES}:
        hashes = np.stack([np.frombuffer(each, "<u4") for each in prints])
        return bytes(hashes.min(0).tobytes())
    return None


def _same(one: bytes, other: bytes) -> bool:
    if len(one) == PICTURE_BYTES:
        return same_picture(one, other)
    first, second = np.frombuffer(one, "<u4"), np.frombuffer(other, "<u4")
    return float((first == second).mean()) >= _SHARED
