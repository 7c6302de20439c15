"""SigLIP (Zhai et al. 2023) and SigLIP 2 (Tschannen et al. 2025), at a fixed resolution.

Text is padded to the length that the model was trained with, and no mask tells padding
from words: the state of the last position is the text's. SigLIP was trained on lower
case without punctuation, SigLIP 2 on lower case.
"""

from __future__ import annotations

from trawl.encoders.base import StagedEncoder
from trawl.encoders.cards import Card
from trawl.encoders.checkpoints import Checkpoint, Options
from trawl.encoders.towers import load_towers
from trawl.types import Modality

MODEL_TYPES = ("siglip",)
_GEMMA_VOCABULARY = 256_000


def load_encoders(card: Card) -> dict[Modality, StagedEncoder]:
    """Give the towers of a card of this family."""
    return load_towers(card, frozenset({"text", "image"}))


def describe(checkpoint: Checkpoint) -> tuple[int, dict[Modality, Options]]:
    """Give the dimension of a checkpoint's space, and its towers' options."""
    config = checkpoint.config
    text = config.get("text_config") or {}
    length = int(text.get("max_position_embeddings", 64))
    second = _is_second(checkpoint)
    return int(text.get("projection_size") or text.get("hidden_size", 768)), {
        "text": {
            "max_tokens": length,
            "pad_to": length,
            "lower_case": True,
            "strip_punctuation": not second,
            **checkpoint.special_tokens(),
        },
        "image": checkpoint.image_options(),
    }


def _is_second(checkpoint: Checkpoint) -> bool:
    """Tell SigLIP 2, whose configuration is SigLIP's, by its tokenizer, which is Gemma's."""
    name = str(checkpoint.read("tokenizer_config.json").get("tokenizer_class", ""))
    if name:
        return name.startswith(("Gemma", "Siglip2"))
    text = checkpoint.config.get("text_config") or {}
    return int(text.get("vocab_size", 0)) >= _GEMMA_VOCABULARY
