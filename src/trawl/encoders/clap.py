"""CLAP (Wu et al. 2023): RoBERTa for text, HTS-AT for sound; the unfused checkpoints.

A fused checkpoint takes random crops of a long sound, so that one file has another vector
each time; it is refused.
"""

from __future__ import annotations

from trawl.encoders.base import StagedEncoder
from trawl.encoders.cards import Card
from trawl.encoders.checkpoints import Checkpoint, Options
from trawl.encoders.towers import load_towers
from trawl.errors import ModelError
from trawl.types import Modality

MODEL_TYPES = ("clap",)
# RoBERTa counts positions from the padding's id + 1.
_POSITIONS_BEFORE_TEXT = 2


def load_encoders(card: Card) -> dict[Modality, StagedEncoder]:
    """Give the towers of a card of this family."""
    return load_towers(card, frozenset({"text", "audio"}))


def describe(checkpoint: Checkpoint) -> tuple[int, dict[Modality, Options]]:
    """Give the dimension of a checkpoint's space, and its towers' options."""
    config = checkpoint.config
    text, sound = config.get("text_config") or {}, config.get("audio_config") or {}
    extractor = checkpoint.preprocessor("feature_extractor")
    fused = sound.get("enable_fusion", False) or extractor.get("truncation") == "fusion"
    if fused:
        raise ModelError(
            f"{checkpoint.directory} is a fused CLAP, whose vectors of long sounds are random; "
            "take an unfused one (laion/clap-htsat-unfused)"
        )
    positions = int(text.get("max_position_embeddings", 514))
    return int(config.get("projection_dim", 512)), {
        "text": {
            "max_tokens": positions - _POSITIONS_BEFORE_TEXT,
            **checkpoint.special_tokens(),
        },
        "audio": {
            "sample_rate_hz": int(extractor["sampling_rate"]),
            "window_s": float(extractor.get("max_length_s", 10)),
            "fft_samples": int(extractor["fft_window_size"]),
            "hop_samples": int(extractor["hop_length"]),
            "mel_bands": int(extractor["feature_size"]),
            "low_hz": float(extractor["frequency_min"]),
            "high_hz": float(extractor["frequency_max"]),
            "scale": "slaney",
        },
    }
