"""A Hugging Face checkpoint: its configuration files, and what all families read from them.

Only JSON files are read; neither torch nor transformers is needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trawl.errors import ModelError

FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""The names of filters by Pillow's numbers, which checkpoints use."""

_PROBE = "a"

Options = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A folder with `config.json`, weights, and a tokenizer or preprocessor configuration."""

    directory: Path

    def read(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the checkpoint, {} if it does not exist. Raises `ModelError`."""
        path = self.directory / name
        try:
            return dict(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} is not valid JSON: {error}") from error

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Its `config.json`. Raises `ModelError` if there is none."""
        config = self.read("config.json")
        if not config:
            raise ModelError(
                f"{self.directory} has no config.json; name the folder of a Hugging Face "
                "checkpoint, or one with a card.toml"
            )
        return config

    @cached_property
    def model_type(self) -> str:
        """The architecture that `config.json` names."""
        return str(self.config.get("model_type", ""))

    @cached_property
    def weights(self) -> str:
        """The name of the weights file. Raises `ModelError` if there is none."""
        for name in ("model.safetensors", "pytorch_model.bin"):
            if (self.directory / name).is_file():
                return name
        raise ModelError(
            f"{self.directory} has neither model.safetensors nor pytorch_model.bin; "
            "merge sharded weights into one file first"
        )

    def preprocessor(self, part: str) -> dict[str, Any]:
        """Return the configuration of the `image_processor` or the `feature_extractor`."""
        nested = self.read("processor_config.json").get(part)
        return dict(nested or self.read("preprocessor_config.json"))

    def special_tokens(self) -> Options:
        """Return the ids around a text, and the padding id and side, as card options."""
        from trawl.encoders.texts import load_tokenizer

        path = self.directory / "tokenizer.json"
        if not path.is_file():
            raise ModelError(
                f"{self.directory} has no tokenizer.json; `trawl models export` creates one "
                "from the checkpoint's tokenizer"
            )
        tokenizer = load_tokenizer(path)
        bare = tokenizer.encode(_PROBE, add_special_tokens=False).ids
        full = tokenizer.encode(_PROBE).ids
        start = next((i for i in range(len(full)) if full[i : i + len(bare)] == bare), 0)
        settings = self.read("tokenizer_config.json")
        token = settings.get("pad_token") or "<pad>"
        name = token["content"] if isinstance(token, dict) else str(token)
        pad = tokenizer.token_to_id(name)
        return {
            "prefix_ids": list(full[:start]),
            "suffix_ids": list(full[start + len(bare) :]),
            "pad_id": int(pad if pad is not None else self.config.get("pad_token_id") or 0),
            "pad_left": settings.get("padding_side", "right") == "left",
        }

    def image_options(self) -> Options:
        """Return the options of a card's `[image]` table."""
        processor = self.preprocessor("image_processor")
        size = processor.get("size") or {}
        size = {"shortest_edge": size} if isinstance(size, int) else dict(size)
        crop = processor.get("crop_size") or {}
        crop_px = crop if isinstance(crop, int) else int(crop.get("height", 0))
        if "shortest_edge" in size:
            resize, size_px = "shortest_edge", int(size["shortest_edge"])
        elif size and size.get("height") == size.get("width"):
            resize, size_px = "squash", int(size["height"])
        else:
            raise ModelError(f"{self.directory}: images of size {size!r} are not supported")
        normalise = processor.get("do_normalize", True)
        return {
            "size_px": size_px,
            "resize": resize,
            "crop_px": crop_px if processor.get("do_center_crop", False) else 0,
            "filter": FILTERS[int(processor.get("resample", 3))],
            "mean": list(processor["image_mean"]) if normalise else [0.0, 0.0, 0.0],
            "std": list(processor["image_std"]) if normalise else [1.0, 1.0, 1.0],
        }
