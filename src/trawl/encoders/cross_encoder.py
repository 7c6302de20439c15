"""Cross-encoders: a query and a passage read together, and one number for how well they fit.

A card of the family ``cross-encoder`` has one tower, ``[text]``, and no space: it makes no
vectors. Its graph takes the pair as one sequence,

    prefix_ids  query  separator_ids  passage  suffix_ids

with `token_type_ids` 0 up to and with the separator and `second_type_id` behind it (Devlin
et al. 2019; Nogueira and Cho 2019), and gives one logit a pair, [N, 1] or [N].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.lazy import Once
from trawl.encoders.onnx_session import Network
from trawl.encoders.texts import TextOptions, open_tokenizer
from trawl.encoders.towers import network_of
from trawl.errors import ModelError

if TYPE_CHECKING:
    from trawl.encoders.cards import Card

FAMILY = "cross-encoder"

# Few lengths, so that a runtime meets few shapes and a pair has one score in any batch.
_BUCKET_TOKENS = 16
_TOKENS_AT_ONCE = 4096


class CrossEncoder:
    """Scores passages for a query. Loads its weights at the first call; safe in several threads.

    A pair has at most `max_tokens` tokens, the special ones among them: a query is cut to
    half of them, and a passage to what the query leaves.
    """

    def __init__(self, card: Card) -> None:
        tower = card.towers.get("text")
        if tower is None:
            raise ModelError(f"the card of {card.name} has no [text], which a reranker is read by")
        self.name, self.directory = card.name, tower.directory
        self.options = TextOptions.from_options(tower.options)
        self._separator: list[int] = list(tower.options.get("separator_ids", ()))
        self._second_type = int(tower.options.get("second_type_id", 1))
        self._room = self.options.content_tokens - len(self._separator)
        if self._room < 2:
            raise ModelError(f"the card's max_tokens of {self.max_tokens} leave no room for a pair")
        self._network: Network = network_of(card, tower)
        self._tokenizer = Once(lambda: open_tokenizer(tower, self.options.tokenizer))

    @property
    def max_tokens(self) -> int:
        """How many tokens of a pair it sees."""
        return self.options.max_tokens

    def logits(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Give float32 [len(passages)]: above 0 where the passage more likely answers than not.

        1 / (1 + e^-logit) is its probability, as the model understands it.
        """
        asked = self._ids(query)[: max(1, self._room // 2)]
        read = [self._ids(passage)[: self._room - len(asked)] for passage in passages]
        scores = np.zeros(len(passages), np.float32)
        lengths = np.array([self._padded_length(len(asked) + len(ids)) for ids in read], np.int64)
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            step = max(1, _TOKENS_AT_ONCE // length)
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                scores[part] = self._scored(asked, [read[row] for row in part.tolist()], length)
        return scores

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer().encode(text, add_special_tokens=False).ids
        return ids

    def _padded_length(self, tokens: int) -> int:
        needed = tokens + self.max_tokens - self._room
        return min(self.max_tokens, -(-needed // _BUCKET_TOKENS) * _BUCKET_TOKENS)

    def _scored(
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
        found = self._network.run(
            {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        )
        if found.size != len(passages):
            raise ModelError(
                f"the graph of {self.name} gives {found.shape} for {len(passages)} pairs; a "
                "reranker gives one number a pair"
            )
        return found.reshape(-1)
