"""Texts to token arrays, and text towers. What a family does differently is on the card.

A tower sees `max_tokens`, the special ones among them. A longer document is cut into the
fewest windows of equal length, and its vector is the mean of theirs by their number of
tokens; a longer query is cut, and `tokens_cut` tells by how much.
"""

from __future__ import annotations

import string
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.lazy import Once
from trawl.encoders.onnx_session import Network
from trawl.encoders.vectors import pooled, unit
from trawl.errors import ModelError
from trawl.types import Modality, Space, Vectors

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from trawl.encoders.cards import Tower

# Texts are padded to a multiple of this, so that a runtime meets few shapes, and a text
# gets the same length, and so the same vector, whatever else is in the batch.
_BUCKET_TOKENS = 16
_TOKENS_AT_ONCE = 4096
Windows: TypeAlias = list[list[int]]
"""A text as its tower takes it: one or more windows of token ids."""

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How one tower takes a text; a card's `[text]`, its files apart.

    `max_tokens` counts `prefix_ids` and `suffix_ids`, which stand around every window.
    `pad_to` is the length that every window is padded to, 0 for as little as needed;
    `pad_left` puts the padding first. `pooling` is of `trawl.encoders.vectors.pooled`.
    `query_prefix` and `document_prefix` are words that the model was trained to expect.
    """

    tokenizer: str = "tokenizer.json"
    max_tokens: int = 512
    prefix_ids: tuple[int, ...] = ()
    suffix_ids: tuple[int, ...] = ()
    pad_id: int = 0
    pad_to: int = 0
    pad_left: bool = False
    lower_case: bool = False
    strip_punctuation: bool = False
    pooling: str = "none"
    query_prefix: str = ""
    document_prefix: str = ""

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> TextOptions:
        """Read a card's options. Raises `ModelError` for what cannot be."""
        names = set(cls.__dataclass_fields__)
        given = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in options.items()
            if name in names
        }
        arguments: dict[str, Any] = given
        found = cls(**arguments)
        if found.pooling not in ("none", "mean", "cls", "last"):
            raise ModelError(
                f"the card's pooling is {found.pooling!r}; it is none, mean, cls or last"
            )
        if found.content_tokens < 1:
            raise ModelError(
                f"the card's max_tokens of {found.max_tokens} leave no room for a text"
            )
        return found

    @property
    def content_tokens(self) -> int:
        """How many tokens of a text fit into a window."""
        return self.max_tokens - len(self.prefix_ids) - len(self.suffix_ids)


class TextTower:
    """Texts of any length to unit vectors, by a network of the family's kind."""

    modality: Modality = "text"

    def __init__(self, tower: Tower, space: Space, network: Network) -> None:
        self.space = space
        self.options = TextOptions.from_options(tower.options)
        self._network = network
        self._tokenizer = Once(lambda: open_tokenizer(tower, self.options.tokenizer))
        self.max_tokens: int | None = self.options.content_tokens

    def prepare(self, item: str, *, query: bool = False) -> Windows:
        """Give a text's token ids by window: a document's are all there, a query's are cut."""
        if not query:
            return self._windows(item)
        return [self._ids(self.options.query_prefix + item)[: self.options.content_tokens]]

    def encode(self, items: Sequence[str]) -> Vectors:
        """Give float32 [len(items), D] unit vectors of documents; long ones are windowed."""
        return self.run([self.prepare(text) for text in items])

    def encode_queries(self, items: Sequence[str]) -> Vectors:
        """Give float32 [len(items), D] unit vectors of queries; see `tokens_cut`."""
        return self.run([self.prepare(text, query=True) for text in items])

    def tokens_cut(self, text: str) -> int:
        """Tell how many tokens at the end of a query this tower does not see."""
        ids = self._ids(self.options.query_prefix + text)
        return max(0, len(ids) - self.options.content_tokens)

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Give int64 [T, 2]: each token's first character and the one after its last."""
        offsets = self._tokenizer().encode(text, add_special_tokens=False).offsets
        return np.array(offsets, dtype=np.int64).reshape(-1, 2)

    def _ids(self, text: str) -> list[int]:
        if self.options.lower_case:
            text = text.lower()
        if self.options.strip_punctuation:
            text = " ".join(text.translate(_PUNCTUATION).split())
        ids: list[int] = self._tokenizer().encode(text, add_special_tokens=False).ids
        return ids

    def _windows(self, text: str) -> Windows:
        room, prefix = self.options.content_tokens, self.options.document_prefix
        whole = self._ids(prefix + text)
        if len(whole) <= room:
            return [whole]
        before = self._ids(prefix) if prefix else []
        content = self._ids(text) if prefix else whole
        room -= len(before)
        count = -(-len(content) // room)
        bounds = np.linspace(0, len(content), count + 1).astype(int)
        return [before + content[start:stop] for start, stop in pairwise(bounds)]

    def run(self, prepared: Sequence[Windows]) -> Vectors:
        """Give float32 [len(prepared), D] unit vectors of prepared texts."""
        out = np.zeros((len(prepared), self.space.dimension), np.float32)
        by_length: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        for row, windows in enumerate(prepared):
            for window in windows:
                by_length[self._padded_length(len(window))].append((row, window))
        for length, entries in sorted(by_length.items()):
            step = max(1, _TOKENS_AT_ONCE // length)
            for start in range(0, len(entries), step):
                part = entries[start : start + step]
                vectors = self._vectors([window for _, window in part], length)
                for (row, window), vector in zip(part, vectors, strict=True):
                    out[row] += vector * max(1, len(window))
        return unit(out)

    def _padded_length(self, tokens: int) -> int:
        options = self.options
        if options.pad_to:
            return options.pad_to
        needed = tokens + len(options.prefix_ids) + len(options.suffix_ids)
        return min(options.max_tokens, -(-needed // _BUCKET_TOKENS) * _BUCKET_TOKENS)

    def _vectors(self, windows: Sequence[Sequence[int]], length: int) -> Vectors:
        options = self.options
        ids = np.full((len(windows), length), options.pad_id, np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(windows):
            tokens = [*options.prefix_ids, *window, *options.suffix_ids]
            place = slice(length - len(tokens), length) if options.pad_left else slice(len(tokens))
            ids[row, place], mask[row, place] = tokens, 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return unit(pooled(self._network.run(feeds), mask, options.pooling))


def open_tokenizer(tower: Tower, name: str) -> Tokenizer:
    """Open a tower's tokenizer, without truncation and padding. Raises `ModelError`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tower.path(name)))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
