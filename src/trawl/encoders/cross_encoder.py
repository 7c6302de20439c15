"""Cross-encoders, which read a query and a passage together and score how well they match.

A card of the family ``cross-encoder`` has one tower, ``[text]``, and no space. The graph's input
is the pair as one sequence,

    prefix_ids  query  separator_ids  passage  suffix_ids

with `token_type_ids` 0 up to and including the separator and `second_type_id` after it (Devlin
et al. 2019; Nogueira and Cho 2019). Its output is one logit per pair, [N, 1] or [N].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.base import Lazy
from trawl.encoders.onnx_session import Network
from trawl.encoders.texts import TextOptions, load_tokenizer
from trawl.encoders.towers import network_of
from trawl.errors import ModelError

if TYPE_CHECKING:
    from trawl.encoders.cards import Card

# Few padded lengths: the runtime sees few shapes, and a pair has one score in any batch.
_BUCKET_TOKENS = 16
_TOKENS_PER_CALL = 4096


class CrossEncoder:
    """Scores passages for a query. Loads its weights at the first call. Thread-safe.

    A pair has at most `max_tokens` tokens, special tokens included. A query is truncated
    to half of them, a passage to the rest.
    """

    def __init__(self, card: Card) -> None:
        tower = card.towers.get("text")
        if tower is None:
            raise ModelError(f"the card of {card.name} has no [text] table, which a reranker needs")
        self.name, self.directory = card.name, tower.directory
        self.options = TextOptions.from_options(tower.options)
        self._separator: list[int] = list(tower.options.get("separator_ids", ()))
        self._second_type = int(tower.options.get("second_type_id", 1))
        self._room = self.options.content_tokens - len(self._separator)
        if self._room < 2:
            raise ModelError(
                f"max_tokens is {self.max_tokens} in the card; that leaves no room for a pair"
            )
        self._network: Network = network_of(card, tower)
        self._tokenizer = Lazy(lambda: load_tokenizer(tower.path(self.options.tokenizer)))

    @property
    def max_tokens(self) -> int:
        """Maximum tokens of a pair."""
        return self.options.max_tokens

    def logits(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 [len(passages)] logits, above 0 for a likely answer.

        1 / (1 + e^-logit) is the model's estimate of the probability.
        """
        query_ids = self._ids(query)[: max(1, self._room // 2)]
        room = self._room - len(query_ids)
        passage_ids = [self._ids(passage)[:room] for passage in passages]
        scores = np.zeros(len(passages), np.float32)
        lengths = np.array(
            [self._padded_length(len(query_ids) + len(ids)) for ids in passage_ids], np.int64
        )
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            step = max(1, _TOKENS_PER_CALL // length)
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                batch = [passage_ids[row] for row in part.tolist()]
                scores[part] = self._run(query_ids, batch, length)
        return scores

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer().encode(text, add_special_tokens=False).ids
        return ids

    def _padded_length(self, tokens: int) -> int:
        needed = tokens + self.max_tokens - self._room
        return min(self.max_tokens, -(-needed // _BUCKET_TOKENS) * _BUCKET_TOKENS)

    def _run(
        self, query: Sequence[int], passages: Sequence[Sequence[int]], length: int
    ) -> NDArray[np.float32]:
        options = self.options
        ids = np.full((len(passages), length), options.pad_id, np.int64)
        mask, types = np.zeros_like(ids), np.zeros_like(ids)
        first = [*options.prefix_ids, *query, *self._separator]
        for row, passage in enumerate(passages):
            tokens = [*first, *passage, *options.suffix_ids]
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
            types[row, len(first) : len(tokens)] = self._second_type
        logits = self._network.run(
            {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        )
        if logits.size != len(passages):
            raise ModelError(
                f"the graph of {self.name} returns {logits.shape} for {len(passages)} pairs; a "
                "reranker returns one number per pair"
            )
        return logits.reshape(-1)
