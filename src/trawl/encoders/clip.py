"""CLIP and OpenCLIP (Radford et al. 2021), and MobileCLIP through its ONNX exports.

Text: byte-pair tokens between a start and an end token, of which the network takes the
end token's state; what stands after it does not matter, since attention looks back only.
"""

from __future__ import annotations

from trawl.encoders.base import StagedEncoder
from trawl.encoders.cards import Card
from trawl.encoders.checkpoints import Checkpoint, Options
from trawl.encoders.towers import load_towers
from trawl.types import Modality

MODEL_TYPES = ("clip",)


def load_encoders(card: Card) -> dict[Modality, StagedEncoder]:
    """Give the towers of a card of this family."""
    return load_towers(card, frozenset({"text", "image"}))


def describe(checkpoint: Checkpoint) -> tuple[int, dict[Modality, Options]]:
    """Give the dimension of a checkpoint's space, and its towers' options."""
    config = checkpoint.config
    text = config.get("text_config") or {}
    return int(config.get("projection_dim", 512)), {
        "text": {
            "max_tokens": int(text.get("max_position_embeddings", 77)),
            **checkpoint.special_tokens(),
        },
        "image": checkpoint.image_options(),
    }
