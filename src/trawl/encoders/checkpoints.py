"""Checkpoints as Hugging Face keeps them: what their configuration says, as a card's options.

Only files are read; neither torch nor transformers is needed. What a checkpoint leaves
out has the value that the reference implementation gives it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trawl.errors import ModelError

# Pillow's numbers for its filters, which checkpoints are published with.
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_PROBE = "a"

Options = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A folder with `config.json`, weights, and a tokenizer or a preprocessor's configuration."""

    directory: Path

    def read(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the checkpoint; {} where it is not there."""
        path = self.directory / name
        try:
            return dict(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} cannot be read as JSON: {error}") from error

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Its `config.json`. Raises `ModelError` where there is none."""
        found = self.read("config.json")
        if not found:
            raise ModelError(
                f"{self.directory} has no config.json; give the folder of a Hugging Face "
                "checkpoint, or one with a card.toml"
            )
        return found

    @cached_property
    def weights(self) -> str:
        """The name of the weights' file. Raises `ModelError` where there is none."""
        for name in ("model.safetensors", "pytorch_model.bin"):
            if (self.directory / name).is_file():
                return name
        raise ModelError(
            f"{self.directory} has neither model.safetensors nor pytorch_model.bin; "
            "weights in several files have to be joined first"
        )

    def preprocessor(self, part: str) -> dict[str, Any]:
        """Give the configuration of the `image_processor` or the `feature_extractor`."""
        nested = self.read("processor_config.json").get(part)
        return dict(nested or self.read("preprocessor_config.json"))

    def special_tokens(self) -> Options:
        """Tell which ids the tokenizer puts around a text, and which it pads with."""
        from tokenizers import Tokenizer

        path = self.directory / "tokenizer.json"
        if not path.is_file():
            raise ModelError(
                f"{self.directory} has no tokenizer.json; `trawl models export` writes one "
                "from the checkpoint's own tokenizer"
            )
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_padding()
        tokenizer.no_truncation()
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
        """Give the steps from a picture to pixels."""
        found = self.preprocessor("image_processor")
        size = found.get("size") or {}
        size = {"shortest_edge": size} if isinstance(size, int) else dict(size)
        crop = found.get("crop_size") or {}
        crop_px = crop if isinstance(crop, int) else int(crop.get("height", 0))
        if "shortest_edge" in size:
            resize, size_px = "shortest_edge", int(size["shortest_edge"])
        elif size and size.get("height") == size.get("width"):
            resize, size_px = "squash", int(size["height"])
        else:
            raise ModelError(f"{self.directory}: pictures of size {size!r} are not supported")
        normalise = found.get("do_normalize", True)
        return {
            "size_px": size_px,
            "resize": resize,
            "crop_px": crop_px if found.get("do_center_crop", False) else 0,
            "filter": _FILTERS[int(found.get("resample", 3))],
            "mean": list(found["image_mean"]) if normalise else [0.0, 0.0, 0.0],
            "std": list(found["image_std"]) if normalise else [1.0, 1.0, 1.0],
        }
