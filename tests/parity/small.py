"""Small checkpoints of the true architectures, with random weights and working tokenizers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SENTENCES = [
    "A muon decays to an electron and two neutrinos with a mean life of 2.2 microseconds.",
    "Two dogs run over a green field and a child in a red coat laughs behind them!",
    "the decay curve of the muon: counts fall with time, as an exponential does",
    "Rain on a tin roof, thunder far away, then birds; an engine starts.",
    "Gel electrophoresis separates DNA by length (bp), smaller pieces run farther.",
]


def randomise(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Return weights that keep the scale of what passes, so that two inputs differ at the end.

    As transformers initialises them, a small model gives nearly one vector for everything,
    and any two implementations agree.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "norm" in name.lower() or "layrnorm" in name or weights.ndim == 0:
                continue
            if "logit" in name:
                continue
            fan_in = weights[0].numel() if weights.ndim > 1 else 1
            embedding = ("embed" in name and "patch" not in name) or name.endswith("probe")
            scale = 0.7 if embedding else 1 / math.sqrt(fan_in) if weights.ndim > 1 else 0.1
            weights.copy_(torch.randn(weights.shape, generator=generator) * scale)
    return model.eval()


def byte_level(folder: Path, size: int, *, start: str, end: str, pad: str) -> Tokenizer:
    """Train a byte-level BPE, in which no character is unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[start, pad, end, "<unk>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    ends = [(token, tokenizer.token_to_id(token)) for token in (end, start)]
    tokenizer.post_processor = processors.RobertaProcessing(*ends, add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def clip(folder: Path, tokenizer_file: Path, *, full: bool = False) -> Path:
    """CLIP with its real vocabulary; `full` is ViT-B/32 in its published size."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    small: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    config = CLIPConfig(
        text_config={
            **({} if full else small),
            "vocab_size": 49408,
            "bos_token_id": 49406,
            "eos_token_id": 49407,
            "pad_token_id": 49407,
        },
        vision_config={} if full else small,
        projection_dim=512 if full else 48,
    )
    torch.manual_seed(1)
    model = randomise(CLIPModel(config), seed=1)
    model.save_pretrained(folder)
    raw = json.loads(tokenizer_file.read_text("utf-8"))["model"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in raw["merges"]]
    CLIPTokenizer(vocab=raw["vocab"], merges=merges, model_max_length=77).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    return folder


def metaclip2(folder: Path) -> Path:
    """MetaCLIP 2, with the special tokens of its multilingual tokenizer."""
    from transformers import (
        CLIPImageProcessorPil,
        MetaClip2Config,
        MetaClip2Model,
        PreTrainedTokenizerFast,
    )

    folder.mkdir(parents=True, exist_ok=True)
    trained = byte_level(folder, 600, start="<s>", end="</s>", pad="<pad>")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    tokenizer.save_pretrained(folder)
    small: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": 48,
    }
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = MetaClip2Config(
        text_config={**small, **ends, "vocab_size": len(tokenizer), "pad_token_id": 1},
        vision_config=small,
        projection_dim=48,
    )
    torch.manual_seed(11)
    randomise(MetaClip2Model(config), seed=11).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    return folder


def siglip2(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel
    from transformers.models.siglip2.tokenization_siglip2 import Siglip2Tokenizer

    trained = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    trained.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    trained.train_from_iterator(
        [sentence.lower().replace(" ", "▁") for sentence in SENTENCES],
        trainers.BpeTrainer(
            vocab_size=900,
            special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
            show_progress=False,
        ),
    )
    raw = json.loads(trained.to_str())["model"]
    tokenizer = Siglip2Tokenizer(
        vocab=raw["vocab"],
        merges=[tuple(merge) for merge in raw["merges"]],
        model_max_length=64,
        padding_side="right",
        model_input_names=["input_ids"],
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    tokenizer.save_pretrained(folder)
    _siglip(SiglipConfig, SiglipModel, vocabulary=len(raw["vocab"])).save_pretrained(folder)
    SiglipImageProcessorPil(resample=2, size={"height": 128, "width": 128}).save_pretrained(folder)
    return folder


def siglip(folder: Path) -> Path:
    """SigLIP of 2023, whose tokenizer is a SentencePiece model, lower case, no punctuation."""
    import sentencepiece
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel, SiglipTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    words = folder / "words.txt"
    words.write_text("\n".join(sentence.lower() for sentence in SENTENCES), "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(words),
        model_prefix=str(folder / "spiece"),
        vocab_size=85,
        # Nothing but what Trawl and the reference do themselves before.
        normalization_rule_name="identity",
        bos_id=-1,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        minloglevel=2,
    )
    tokenizer = SiglipTokenizer(
        vocab_file=str(folder / "spiece.model"), model_input_names=["input_ids"]
    )
    tokenizer.save_pretrained(folder)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    vocabulary = [(pieces.id_to_piece(n), pieces.get_score(n)) for n in range(len(pieces))]
    same = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=False))
    same.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    same.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    same.save(str(folder / "tokenizer.json"))
    _siglip(SiglipConfig, SiglipModel, vocabulary=len(vocabulary)).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 128, "width": 128}).save_pretrained(folder)
    return folder


def _siglip(config: Callable[..., Any], model: Callable[..., Any], vocabulary: int) -> Any:
    small: dict[str, Any] = {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    torch.manual_seed(2)
    return randomise(
        model(
            config(
                text_config={**small, "vocab_size": vocabulary, "max_position_embeddings": 64},
                vision_config={**small, "image_size": 128, "patch_size": 16},
            )
        ),
        seed=2,
    )


def clap(folder: Path) -> Path:
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, RobertaTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = byte_level(folder, 600, start="<s>", end="</s>", pad="<pad>")
    raw = json.loads(tokenizer.to_str())["model"]
    RobertaTokenizer(
        vocab=raw["vocab"], merges=[tuple(m) for m in raw["merges"]], model_max_length=66 - 2
    ).save_pretrained(folder)
    config = ClapConfig(
        text_config={
            "vocab_size": 600,
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 66,
            "pad_token_id": 1,
        },
        audio_config={
            "patch_embeds_hidden_size": 16,
            "depths": [1, 1, 2, 1],
            "num_attention_heads": [2, 2, 4, 4],
            "hidden_size": 128,
            "enable_fusion": False,
        },
        projection_dim=32,
    )
    torch.manual_seed(3)
    model = randomise(ClapModel(config), seed=3)
    # A trained one has learnt how loud sounds are; without that they are all one to it.
    norm = model.audio_model.audio_encoder.batch_norm
    norm.running_mean.fill_(-35.0)
    norm.running_var.fill_(20.0**2)
    model.save_pretrained(folder)
    ClapFeatureExtractor(
        truncation="rand_trunc", frequency_min=50, frequency_max=14_000
    ).save_pretrained(folder)
    return folder


def bert(folder: Path, pooling: str) -> Path:
    """A BERT as sentence-transformers lays it out."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted({letter for sentence in SENTENCES for letter in sentence.lower()} - {" "})
    words = sorted({w for s in SENTENCES for w in s.lower().split() if w.isalpha()})
    pieces = [*letters, *(f"##{letter}" for letter in letters), *words]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(pieces)]
    BertTokenizer(vocab={piece: row for row, piece in enumerate(vocabulary)}).save_pretrained(
        folder
    )
    torch.manual_seed(4)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=96,
    )
    randomise(BertModel(config), seed=4).save_pretrained(folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 64}', "utf-8")
    (folder / "1_Pooling").mkdir(exist_ok=True)
    modes = {
        f"pooling_mode_{mode}": mode.startswith(pooling) for mode in ("cls_token", "mean_tokens")
    }
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes), "utf-8")
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts), "utf-8")
    return folder


def omni(folder: Path, *, full: bool = False) -> Path:
    """EmbeddingGemma 2; `full` has the published sizes."""
    from transformers import EmbeddingGemma2Config, EmbeddingGemma2Model
    from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
    from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = omni_tokenizer(folder)
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in OMNI_TOKENS.items()}
    small = {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_attention_heads": 4,
    }
    text = {**small, "num_hidden_layers": 2, "sliding_window_pattern": 2, "sliding_window": 24}
    text |= {"num_key_value_heads": 2, "head_dim": 16, "global_head_dim": 32, "embedding_dim": 96}
    text |= {"hidden_size_per_layer_input": 24}
    vision = {**small, "num_hidden_layers": 1, "num_key_value_heads": 4, "head_dim": 12}
    audio = {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4}
    audio |= {"subsampling_conv_channels": [128, 8], "output_proj_dims": 40}
    config = EmbeddingGemma2Config(
        text_config={**({} if full else text), "vocab_size": 262_144 if full else len(tokenizer)},
        vision_config={"model_type": "gemma4_vision", **({} if full else vision)},
        audio_config={"model_type": "gemma4_audio", **({} if full else audio)},
        boi_token_id=ids["boi_token"],
        image_token_id=ids["image_token"],
        eoi_token_id=ids["eoi_token"],
        boa_token_id=ids["boa_token"],
        audio_token_id=ids["audio_token"],
        eoa_token_index=ids["eoa_token"],
        video_token_id=ids["video_token"],
    )
    torch.manual_seed(8)
    model = EmbeddingGemma2Model(config)
    if not full:
        randomise(model, seed=8)
        # A trained one tells where a patch is.
        table = model.vision_tower.patch_embedder.position_embedding_table
        table.data.normal_(generator=torch.Generator().manual_seed(9))
    model.save_pretrained(folder)
    parts = {
        "image_processor": json.loads(Gemma4ImageProcessorPil().to_json_string()),
        "feature_extractor": json.loads(Gemma4AudioFeatureExtractor().to_json_string()),
    }
    (folder / "processor_config.json").write_text(json.dumps(parts), "utf-8")
    return folder


OMNI_TOKENS = {
    "boi_token": "<|image>",
    "image_token": "<|image|>",
    "eoi_token": "<image|>",
    "boa_token": "<|audio>",
    "audio_token": "<|audio|>",
    "eoa_token": "<audio|>",
    "video_token": "<|video|>",
}


def omni_tokenizer(folder: Path) -> Any:
    """A Gemma tokenizer with the tokens of media; no character is unknown to it."""
    from transformers import GemmaTokenizer

    trained = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    trained.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *OMNI_TOKENS.values()]
    trained.train_from_iterator(
        [sentence.replace(" ", "▁") for sentence in SENTENCES],
        trainers.BpeTrainer(
            vocab_size=900,
            special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
            show_progress=False,
        ),
    )
    raw = json.loads(trained.to_str())["model"]
    tokenizer = GemmaTokenizer(
        vocab=raw["vocab"],
        merges=[tuple(merge) for merge in raw["merges"]],
        padding_side="right",
        extra_special_tokens=OMNI_TOKENS,
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 2), ("<eos>", 1)]
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


LATE_TOKENS = [
    "<|begin_of_text|>",
    "<image>",
    "<fake_token_around_image>",
    "<end_of_utterance>",
    "<global-img>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
]


def late(folder: Path, *, full: bool = False, tiles: bool = False) -> Path:
    """ColModernVBERT; `full` has the published sizes, `tiles` those of its input and output."""
    from transformers import (
        ColModernVBertConfig,
        ColModernVBertForRetrieval,
        ModernBertConfig,
        ModernVBertConfig,
        PreTrainedTokenizerFast,
        SiglipVisionConfig,
    )
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    folder.mkdir(parents=True, exist_ok=True)
    trained = byte_level(folder, 600, start="[CLS]", end="[SEP]", pad="[PAD]")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": LATE_TOKENS})
    tokenizer.save_pretrained(folder)
    small: dict[str, Any] = {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    text = {**small, "local_attention": 16, "global_attn_every_n_layers": 2}
    tiles = tiles or full
    tile_px = 512 if tiles else 64
    config = ColModernVBertConfig(
        vlm_config=ModernVBertConfig(
            text_config=ModernBertConfig(
                **({} if full else text),
                vocab_size=50_368 if full else len(tokenizer),
                pad_token_id=tokenizer.pad_token_id,
                cls_token_id=tokenizer.cls_token_id,
                sep_token_id=tokenizer.sep_token_id,
                bos_token_id=tokenizer.cls_token_id,
                eos_token_id=tokenizer.sep_token_id,
            ),
            vision_config=SiglipVisionConfig(
                **(
                    {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}
                    | {"num_attention_heads": 12}
                    if full
                    else small
                ),
                image_size=tile_px,
                patch_size=16,
                vision_use_head=False,
            ),
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            pixel_shuffle_factor=4 if tiles else 2,
        ),
        embedding_dim=128 if tiles else 24,
    )
    torch.manual_seed(10)
    model = ColModernVBertForRetrieval(config)
    if not full:
        randomise(model, seed=10)
    model.save_pretrained(folder)
    processor = Idefics3ImageProcessorPil(
        size={"longest_edge": 4 * tile_px},
        max_image_size={"longest_edge": tile_px},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    parts = {
        "image_processor": json.loads(processor.to_json_string()),
        "image_seq_len": 64 if tiles else 4,
    }
    (folder / "processor_config.json").write_text(json.dumps(parts), "utf-8")
    return folder


def late_qwen(folder: Path) -> Path:
    from transformers import (
        ColQwen2Config,
        ColQwen2ForRetrieval,
        PreTrainedTokenizerFast,
        Qwen2VLConfig,
    )
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    folder.mkdir(parents=True, exist_ok=True)
    trained = byte_level(folder, 600, start="<|im_start|>", end="<|im_end|>", pad="<|endoftext|>")
    trained.post_processor = processors.ByteLevel(trim_offsets=False)  # no tokens around a text
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    media = ["<|vision_start|>", "<|image_pad|>", "<|vision_end|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", *media]})
    tokenizer.save_pretrained(folder)
    config = ColQwen2Config(
        vlm_config=Qwen2VLConfig(
            text_config={
                "hidden_size": 48,
                "intermediate_size": 96,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "vocab_size": len(tokenizer),
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 10_000.0,
                    "mrope_section": [2, 2, 2],
                },
            },
            vision_config={"depth": 2, "embed_dim": 32, "num_heads": 4, "hidden_size": 48},
            image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
            vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
            vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
        ),
        embedding_dim=24,
    )
    torch.manual_seed(12)
    randomise(ColQwen2ForRetrieval(config), seed=12).save_pretrained(folder)
    parts = {"image_processor": json.loads(Qwen2VLImageProcessorPil().to_json_string())}
    (folder / "processor_config.json").write_text(json.dumps(parts), "utf-8")
    return folder
