"""Tokenization and text towers. The differences between families are options of the card.

A window has at most `max_tokens` tokens, special tokens included. A longer document is split
into the fewest windows of equal length; its vector is the mean of theirs, weighted by their
number of tokens. A longer query is truncated, and `tokens_cut` counts the lost tokens.
"""

from __future__ import annotations

import string
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.base import Lazy, unit
from trawl.encoders.onnx_session import Arrays, Network
from trawl.errors import ModelError
from trawl.types import Modality, Passage, Space, Vectors

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from trawl.encoders.cards import Tower

# Lengths are padded to a multiple of this. The runtime sees few shapes, and a text has the
# same padded length, hence the same vector, whatever else is in the batch.
_BUCKET_TOKENS = 16
_TOKENS_PER_CALL = 4096
# A title is in the prompt of every window of its document.
_TITLE_CHARACTERS = 300

Windows: TypeAlias = list[list[int]]
"""The token ids of one text, by window."""

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class TextOptions:
    """The options of a card's `[text]` table.

    `prefix_ids` and `suffix_ids` surround every window and count towards `max_tokens`.
    `pad_to` is the fixed length of a window, 0 for as short as possible; `pad_left` puts
    the padding first. `pooling` is an argument of `pooled`. `query_prefix` and
    `document_prefix` are the prompts that the model was trained with. `{title}` in the latter
    stands for a document's title, or "none". A query for one of the `tasks` has `task_prefix`,
    in which `{task}` stands for the task, instead of `query_prefix`. `query_suffix` follows the
    text of a query, however long it is.
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
    query_suffix: str = ""
    document_prefix: str = ""
    tasks: tuple[str, ...] = ()
    task_prefix: str = ""

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> TextOptions:
        """Parse a card's options. Raises `ModelError` if one is invalid."""
        arguments: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in options.items()
            if name in cls.__dataclass_fields__
        }
        parsed = cls(**arguments)
        if parsed.pooling not in ("none", "mean", "cls", "last"):
            raise ModelError(
                f"pooling is {parsed.pooling!r} in [text] in the model card; "
                "it must be none, mean, cls or last"
            )
        if parsed.content_tokens < 1:
            raise ModelError(
                f"max_tokens is {parsed.max_tokens} in [text] in the model card; "
                "that leaves no room for text"
            )
        return parsed

    @property
    def content_tokens(self) -> int:
        """Tokens of a window without the special tokens."""
        return self.max_tokens - len(self.prefix_ids) - len(self.suffix_ids)


class TextTower:
    """Embeds texts of any length with a network of any family."""

    modality: Modality = "text"

    def __init__(self, tower: Tower, space: Space, network: Network) -> None:
        self.space = space
        self.options = TextOptions.from_options(tower.options)
        self._network = network
        self._tokenizer = Lazy(lambda: load_tokenizer(tower.path(self.options.tokenizer)))
        self.max_tokens: int | None = self.options.content_tokens

    def prepare(self, item: str, *, query: bool = False) -> Windows:
        """Return a document's windows of token ids, or a query's one window, truncated."""
        if not query:
            return self._windows(item)
        suffix = self._query_suffix
        return [self._query_ids(item)[: self.options.content_tokens - len(suffix)] + suffix]

    def encode(self, items: Sequence[str]) -> Vectors:
        """Return float32 [len(items), D] unit vectors of documents."""
        return self.run([self.prepare(text) for text in items])

    def encode_queries(self, items: Sequence[str]) -> Vectors:
        """Return float32 [len(items), D] unit vectors of queries."""
        return self.run([self.prepare(text, query=True) for text in items])

    def tokens_cut(self, text: str) -> int:
        """Return the number of tokens that are truncated from a query."""
        room = self.options.content_tokens - len(self._query_suffix)
        return max(0, len(self._query_ids(text)) - room)

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Return int64 [T, 2], the start and end character of each token."""
        return token_spans(self._tokenizer(), text)

    @cached_property
    def _query_suffix(self) -> list[int]:
        return self._ids(self.options.query_suffix) if self.options.query_suffix else []

    def _ids(self, text: str) -> list[int]:
        if self.options.lower_case:
            text = text.lower()
        if self.options.strip_punctuation:
            text = " ".join(text.translate(_PUNCTUATION).split())
        ids: list[int] = self._tokenizer().encode(text, add_special_tokens=False).ids
        return ids

    def _query_ids(self, text: str) -> list[int]:
        prefix, task = self.options.query_prefix, getattr(text, "task", "")
        if task in self.options.tasks:
            prefix = self.options.task_prefix.replace("{task}", task)
        return self._ids(prefix + text)

    def _windows(self, text: str) -> Windows:
        room = self.options.content_tokens
        prefix, text = self._prompted(text)
        ids = self._ids(prefix + text)
        if len(ids) <= room:
            return [ids]
        prefix_ids = self._ids(prefix) if prefix else []
        content = self._ids(text) if prefix else ids
        room -= len(prefix_ids)
        count = -(-len(content) // room)
        bounds = np.linspace(0, len(content), count + 1).astype(int)
        return [prefix_ids + content[start:stop] for start, stop in pairwise(bounds)]

    def _prompted(self, text: str) -> tuple[str, str]:
        """Return the prompt of a document and the text after it."""
        prefix = self.options.document_prefix
        if "{title}" not in prefix:
            return prefix, text
        title, body = (text.title_line, text.body) if isinstance(text, Passage) else ("", text)
        return prefix.replace("{title}", title[:_TITLE_CHARACTERS] or "none"), body

    def run(self, prepared: Sequence[Windows]) -> Vectors:
        """Return float32 [len(prepared), D] unit vectors of prepared texts.

        A call has windows of nearly one length. On a GPU it has windows of all lengths.
        """
        out = np.zeros((len(prepared), self.space.dimension), np.float32)
        by_length: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        for row, windows in enumerate(prepared):
            for window in windows:
                by_length[self._padded_length(len(window))].append((row, window))
        if len(by_length) > 1 and self._network.on_gpu():
            by_length = {max(by_length): [one for each in by_length.values() for one in each]}
        for length, entries in sorted(by_length.items()):
            step = max(1, _TOKENS_PER_CALL // length)
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
        return self.shortened(pooled(self._run(feeds), mask, options.pooling))

    def shortened(self, vectors: NDArray[np.float32]) -> Vectors:
        """Return the space's first dimensions of vectors, as unit vectors (Matryoshka)."""
        return unit(np.ascontiguousarray(vectors[:, : self.space.dimension]))

    def _run(self, feeds: Arrays) -> NDArray[np.float32]:
        return self._network.run(feeds)


def pooled(
    states: NDArray[np.float32], mask: NDArray[np.int64], pooling: str
) -> NDArray[np.float32]:
    """Return one vector per text, float32 [N, D], from the states of its tokens.

    `states` is [N, T, D], or [N, D] from a network that pools by itself (`pooling` is
    "none"). `mask` is int64 [N, T], 1 for a token. "mean" averages the tokens (Reimers and
    Gurevych 2019), "cls" takes the first position, "last" the last token.
    """
    if pooling == "none":
        return states
    if pooling == "cls":
        first: NDArray[np.float32] = states[:, 0]
        return first
    if pooling == "last":
        last: NDArray[np.float32] = states[
            np.arange(len(states)), mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1)
        ]
        return last
    weights = mask.astype(np.float32)[:, :, None]
    summed: NDArray[np.float32] = (states * weights).sum(axis=1)
    mean: NDArray[np.float32] = summed / np.maximum(weights.sum(axis=1), np.float32(1e-9))
    return mean


def load_tokenizer(path: Path) -> Tokenizer:
    """Open a tokenizer file without truncation and padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def token_spans(tokenizer: Tokenizer, text: str) -> NDArray[np.int64]:
    """Return int64 [T, 2], the start and end character of each token."""
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    places = np.fromiter(chain.from_iterable(offsets), np.int64, 2 * len(offsets))
    return places.reshape(-1, 2)
