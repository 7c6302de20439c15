"""From a Hugging Face checkpoint to the options of a card, by family.

Missing values have the defaults of the reference implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trawl.encoders.checkpoint import FILTERS, Checkpoint, Options
from trawl.errors import ModelError
from trawl.types import Modality

# RoBERTa and MPNet number positions from the padding id + 1.
_RESERVED_POSITIONS = {"roberta": 2, "xlm-roberta": 2, "mpnet": 2}
_GEMMA_VOCABULARY = 256_000


@dataclass(frozen=True, slots=True)
class Description:
    """A checkpoint as a card: its family, the dimension of its space, each tower's options.

    `dimensions` are the lengths that a vector may be cut to, `parts` those of `trawl.types.Space`.
    """

    family: str
    dimension: int
    towers: dict[Modality, Options]
    dimensions: tuple[int, ...] = ()
    parts: int = 1


def describe(checkpoint: Checkpoint) -> Description:
    """Describe a checkpoint. Raises `ModelError` if it is not of a supported family."""
    family = family_of(checkpoint)
    dimension, towers = _FAMILIES[family][1](checkpoint)
    shorter = tuple(dimension * sixths // 6 for sixths in _SIXTHS.get(family, ()))
    return Description(family, dimension, towers, shorter, _PARTS.get(family, 1))


def family_of(checkpoint: Checkpoint) -> str:
    """Return a checkpoint's family. Raises `ModelError` if it is not supported."""
    for family, (model_types, _) in _FAMILIES.items():
        if checkpoint.model_type in model_types:
            return family
    raise ModelError(
        f"{checkpoint.directory} has the model type {checkpoint.model_type!r}; "
        f"supported families: {', '.join(_FAMILIES)}"
    )


# 768, 512, 256 and 128 dimensions, for which EmbeddingGemma 2 was trained.
_SIXTHS = {"omni": (6, 4, 2, 1)}
# The vectors of an item, of which a page has over a thousand before they are pooled.
_PARTS = {"late": 64, "late-qwen": 64}

_Parts = tuple[int, dict[Modality, Options]]


def _clip(checkpoint: Checkpoint) -> _Parts:
    """Describe CLIP, whose network returns the state of the end token.

    Padding after the end token has no effect, since attention is causal.
    """
    config = checkpoint.config
    text = config.get("text_config") or {}
    return int(config.get("projection_dim", 512)), {
        "text": {
            "max_tokens": int(text.get("max_position_embeddings", 77)),
            **checkpoint.special_tokens(),
        },
        "image": checkpoint.image_options(),
    }


def _siglip(checkpoint: Checkpoint) -> _Parts:
    """Describe SigLIP, which was trained on padded lower-case text without a mask.

    SigLIP was trained without punctuation, SigLIP 2 with it.
    """
    text = checkpoint.config.get("text_config") or {}
    length = int(text.get("max_position_embeddings", 64))
    return int(text.get("projection_size") or text.get("hidden_size", 768)), {
        "text": {
            "max_tokens": length,
            "pad_to": length,
            "lower_case": True,
            "strip_punctuation": not _is_siglip2(checkpoint),
            **checkpoint.special_tokens(),
        },
        "image": checkpoint.image_options(),
    }


def _is_siglip2(checkpoint: Checkpoint) -> bool:
    """Return whether the tokenizer is Gemma's; the configurations of both are alike."""
    name = str(checkpoint.read("tokenizer_config.json").get("tokenizer_class", ""))
    if name:
        return name.startswith(("Gemma", "Siglip2"))
    text = checkpoint.config.get("text_config") or {}
    return int(text.get("vocab_size", 0)) >= _GEMMA_VOCABULARY


def _clap(checkpoint: Checkpoint) -> _Parts:
    """Describe CLAP: RoBERTa for text, HTS-AT for audio.

    A fused checkpoint takes random crops of a long sound, so that its vectors are random;
    it raises `ModelError`.
    """
    config = checkpoint.config
    text, audio = config.get("text_config") or {}, config.get("audio_config") or {}
    extractor = checkpoint.preprocessor("feature_extractor")
    if audio.get("enable_fusion", False) or extractor.get("truncation") == "fusion":
        raise ModelError(
            f"{checkpoint.directory} is a fused CLAP, whose vectors of long sounds are random; "
            "use an unfused one (laion/clap-htsat-unfused)"
        )
    positions = int(text.get("max_position_embeddings", 514))
    return int(config.get("projection_dim", 512)), {
        "text": {
            "max_tokens": positions - _RESERVED_POSITIONS["roberta"],
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


def _sentence(checkpoint: Checkpoint) -> _Parts:
    """Describe a sentence encoder, with its pooling, prompts and maximum length."""
    config = checkpoint.config
    positions = int(config.get("max_position_embeddings", 512))
    longest = positions - _RESERVED_POSITIONS.get(checkpoint.model_type, 0)
    configured = checkpoint.read("sentence_bert_config.json").get("max_seq_length")
    prompts = checkpoint.read("config_sentence_transformers.json").get("prompts") or {}
    return int(config.get("hidden_size") or config.get("dim", 768)), {
        "text": {
            "max_tokens": min(longest, int(configured or longest)),
            "pooling": _pooling(checkpoint),
            "query_prefix": str(prompts.get("query", "")),
            "document_prefix": str(prompts.get("document") or prompts.get("passage") or ""),
            **checkpoint.special_tokens(),
        },
    }


def _pooling(checkpoint: Checkpoint) -> str:
    config = checkpoint.read("1_Pooling/config.json")
    mode = str(config.get("pooling_mode", ""))
    if config.get("pooling_mode_cls_token") or mode == "cls":
        return "cls"
    if config.get("pooling_mode_lasttoken") or mode == "lasttoken":
        return "last"
    return "mean"


def _omni(checkpoint: Checkpoint) -> _Parts:
    """Describe EmbeddingGemma 2, with a tower for each modality that the checkpoint has.

    The prompts are those of its publication unless the checkpoint names others.
    """
    config = checkpoint.config
    text = config.get("text_config") or {}
    ids = {name: int(config.get(name) or default) for name, default in _OMNI_IDS.items()}
    longest = checkpoint.read("sentence_bert_config.json").get("max_seq_length")
    towers: dict[Modality, Options] = {
        "text": {
            "max_tokens": int(longest or _OMNI_TOKENS),
            "pooling": _pooling(checkpoint),
            "query_prefix": "task: search result | query: ",
            "document_prefix": "title: {title} | text: ",
            "tasks": list(_OMNI_TASKS),
            "task_prefix": "task: {task} | query: ",
            "feature_width": int(text.get("hidden_size", 512)),
            "placeholder_ids": [ids[f"{kind}_token_id"] for kind in ("image", "audio", "video")],
            **checkpoint.special_tokens(),
        }
    }
    if config.get("vision_config"):
        towers["image"] = {
            "begin_id": ids["boi_token_id"],
            "token_id": ids["image_token_id"],
            "end_id": ids["eoi_token_id"],
            **_omni_image(checkpoint),
        }
    if config.get("audio_config"):
        towers["audio"] = {
            "begin_id": ids["boa_token_id"],
            "token_id": ids["audio_token_id"],
            "end_id": ids["eoa_token_index"],
            **_omni_audio(checkpoint),
        }
    return int(text.get("embedding_dim", 768)), towers


_OMNI_TOKENS = 8192
_OMNI_TASKS = (
    "search result",
    "question answering",
    "fact checking",
    "code retrieval",
    "sentence similarity",
)
_OMNI_IDS = {
    "boi_token_id": 255_999,
    "image_token_id": 258_880,
    "eoi_token_id": 258_882,
    "boa_token_id": 256_000,
    "audio_token_id": 258_881,
    "eoa_token_index": 258_883,
    "video_token_id": 258_884,
}


def _omni_image(checkpoint: Checkpoint) -> Options:
    processor = checkpoint.preprocessor("image_processor")
    if processor.get("do_normalize", False):
        raise ModelError(f"{checkpoint.directory}: normalised images are not supported")
    return {
        "patch_px": int(processor.get("patch_size", 16)),
        "pooling": int(processor.get("pooling_kernel_size", 3)),
        "max_soft_tokens": int(processor.get("max_soft_tokens", 280)),
        "filter": FILTERS[int(processor.get("resample", 3))],
    }


def _omni_audio(checkpoint: Checkpoint) -> Options:
    extractor = checkpoint.preprocessor("feature_extractor")
    for option in ("preemphasis", "dither", "per_bin_mean", "per_bin_stddev"):
        if extractor.get(option):
            raise ModelError(f"{checkpoint.directory}: {option} of sounds is not supported")
    rate_hz = int(extractor.get("sampling_rate", 16_000))
    frame = int(extractor.get("frame_length") or round(rate_hz * 0.02))
    return {
        "sample_rate_hz": rate_hz,
        "window_s": 30.0,
        "frame_samples": frame,
        "hop_samples": int(extractor.get("hop_length") or round(rate_hz * 0.01)),
        "fft_samples": int(extractor.get("fft_length") or 1 << (frame - 1).bit_length()),
        "lead_samples": frame // 2,
        "mel_bands": int(extractor.get("feature_size", 128)),
        "low_hz": float(extractor.get("min_frequency", 0.0)),
        "high_hz": float(extractor.get("max_frequency", 8000.0)),
        "scale": "htk",
        "floor": float(extractor.get("mel_floor", 1e-3)),
    }


def _late(checkpoint: Checkpoint) -> _Parts:
    """Describe ColModernVBERT. Queries have the suffix of the reference's processor."""
    config = checkpoint.config.get("vlm_config") or {}
    processor = checkpoint.read("processor_config.json")
    image = checkpoint.preprocessor("image_processor")
    text = config.get("text_config") or {}
    special = checkpoint.special_tokens()
    tile_px = int((image.get("max_image_size") or {}).get("longest_edge", 512))
    return int(checkpoint.config.get("embedding_dim", 128)) * _PARTS["late"], {
        "text": {
            **special,
            "max_tokens": _PARTS["late"],
            "query_prefix": str(processor.get("query_prefix") or ""),
            "query_suffix": "<end_of_utterance>" * 10,
            "feature_width": int(text.get("hidden_size", 768)),
            "placeholder_ids": [int(config.get("image_token_id", 50_407))],
        },
        "image": {
            "longest_px": int((image.get("size") or {}).get("longest_edge", 4 * 364)),
            "tile_px": tile_px,
            "soft_tokens_per_tile": int(processor.get("image_seq_len", 64)),
            "filter": FILTERS[int(image.get("resample", 1))],
            "mean": list(image.get("image_mean", (0.5, 0.5, 0.5))),
            "std": list(image.get("image_std", (0.5, 0.5, 0.5))),
            "prompt": str(processor.get("visual_prompt_prefix") or _PAGE_PROMPT),
        },
    }


_PAGE_PROMPT = "<|begin_of_text|>User:<image>Describe the image.<end_of_utterance>\nAssistant:"


def _late_qwen(checkpoint: Checkpoint) -> _Parts:
    """Describe ColQwen2. Queries have the prefix and the suffix of the reference's processor."""
    config = checkpoint.config.get("vlm_config") or {}
    text = config.get("text_config") or config
    image = checkpoint.preprocessor("image_processor")
    size = image.get("size") or {}
    normal = {
        "mean": [0.48145466, 0.4578275, 0.40821073],
        "std": [0.26862954, 0.26130258, 0.27577711],
    }
    return int(checkpoint.config.get("embedding_dim", 128)) * _PARTS["late-qwen"], {
        "text": {
            **checkpoint.special_tokens(),
            "max_tokens": _PARTS["late-qwen"],
            "query_prefix": "Query: ",
            "query_suffix": "<|endoftext|>" * 10 + "\n",
            "feature_width": int(text.get("hidden_size", 1536)),
            "placeholder_ids": [int(config.get("image_token_id", 151_655))],
        },
        "image": {
            "patch_px": int(image.get("patch_size", 14)),
            "merged": int(image.get("merge_size", 2)),
            "frames": int(image.get("temporal_patch_size", 2)),
            "min_pixels": int(size.get("shortest_edge", 56 * 56)),
            "max_pixels": int(size.get("longest_edge", 28 * 28 * 1280)),
            "filter": FILTERS[int(image.get("resample", 3))],
            "mean": list(image.get("image_mean", normal["mean"])),
            "std": list(image.get("image_std", normal["std"])),
            "prompt": "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
            "Describe the image.<|im_end|><|endoftext|>",
            "placeholder": "<|image_pad|>",
        },
    }


_FAMILIES: Mapping[str, tuple[frozenset[str], Callable[[Checkpoint], _Parts]]] = {
    "clip": (frozenset({"clip", "metaclip_2"}), _clip),
    "siglip": (frozenset({"siglip"}), _siglip),
    "clap": (frozenset({"clap"}), _clap),
    "sentence": (
        frozenset({"bert", "roberta", "xlm-roberta", "mpnet", "distilbert", "modernbert"}),
        _sentence,
    ),
    "omni": (frozenset({"embedding_gemma2"}), _omni),
    "late": (frozenset({"colmodernvbert"}), _late),
    "late-qwen": (frozenset({"colqwen2"}), _late_qwen),
}
"""The values of `model_type` of each family, and the function that describes a checkpoint."""
