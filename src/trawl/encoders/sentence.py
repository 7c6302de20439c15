"""Sentence encoders: BERT and its kin (MiniLM, BGE, E5, GTE), as sentence-transformers has them.

The network gives a state for every token; pooling, the words that stand before a query or
a passage, and the longest text are the checkpoint's.
"""

from __future__ import annotations

from trawl.encoders.base import StagedEncoder
from trawl.encoders.cards import Card
from trawl.encoders.checkpoints import Checkpoint, Options
from trawl.encoders.towers import load_towers
from trawl.types import Modality

MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "mpnet", "distilbert", "modernbert")
_POSITIONS_BEFORE_TEXT = {"roberta": 2, "xlm-roberta": 2, "mpnet": 2}


def load_encoders(card: Card) -> dict[Modality, StagedEncoder]:
    """Give the tower of a card of this family."""
    return load_towers(card, frozenset({"text"}))


def describe(checkpoint: Checkpoint) -> tuple[int, dict[Modality, Options]]:
    """Give the dimension of a checkpoint's space, and its tower's options."""
    config = checkpoint.config
    positions = int(config.get("max_position_embeddings", 512))
    longest = positions - _POSITIONS_BEFORE_TEXT.get(str(config.get("model_type")), 0)
    said = checkpoint.read("sentence_bert_config.json").get("max_seq_length")
    prompts = checkpoint.read("config_sentence_transformers.json").get("prompts") or {}
    return int(config.get("hidden_size") or config.get("dim", 768)), {
        "text": {
            "max_tokens": min(longest, int(said or longest)),
            "pooling": _pooling(checkpoint),
            "query_prefix": str(prompts.get("query", "")),
            "document_prefix": str(prompts.get("document") or prompts.get("passage") or ""),
            **checkpoint.special_tokens(),
        },
    }


def _pooling(checkpoint: Checkpoint) -> str:
    found = checkpoint.read("1_Pooling/config.json")
    named = str(found.get("pooling_mode", ""))
    if found.get("pooling_mode_cls_token") or named == "cls":
        return "cls"
    if found.get("pooling_mode_lasttoken") or named == "lasttoken":
        return "last"
    return "mean"
