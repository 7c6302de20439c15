"""The towers of EmbeddingGemma 2 on transformers, as modules with arrays for inputs and output.

A checkpoint is one file; of it, a module reads only its own tower and the text network's table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModel

from trawl.encoders.onnx_session import Arrays
from trawl.types import Modality

INPUTS: dict[Modality, tuple[str, ...]] = {
    "text": ("input_ids", "attention_mask", "image_features", "video_features", "audio_features"),
    "image": ("pixel_values", "pixel_position_ids"),
    "audio": ("input_features", "input_features_mask"),
}
"""The arguments of a tower's `forward`, in order."""

_PLACEHOLDERS = {
    "image_features": "image_token_id",
    "video_features": "video_token_id",
    "audio_features": "audio_token_id",
}


def load_omni(directory: Path, modality: Modality) -> torch.nn.Module:
    """Load one tower of a checkpoint. Raises `OSError` or `ValueError`, as transformers does."""
    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    if modality != "image":
        config.vision_config = None
    if modality != "audio":
        config.audio_config = None
    network = AutoModel.from_pretrained(directory, config=config, local_files_only=True)
    network = network.eval().float()
    if modality == "text":
        return TextNetwork(network).eval()
    network.language_model = None
    return (ImageNetwork if modality == "image" else AudioNetwork)(network).eval()


def with_soft_tokens(
    states: torch.Tensor, input_ids: torch.Tensor, token_id: int, features: torch.Tensor
) -> torch.Tensor:
    """Return states [N, T, D] with features [tokens, D] in the places of a token, in order.

    The reference scatters them by a mask, which ONNX cannot express for a batch without any.
    """
    at = input_ids == token_id
    # Row 0 is for all other tokens, so that there is a row even without soft tokens.
    rows = torch.cumsum(at.reshape(-1).long(), 0).reshape(at.shape) * at
    table = torch.cat([features.new_zeros(1, features.shape[1]), features])
    soft_states = torch.nn.functional.embedding(rows, table).to(states.dtype)
    return torch.where(at[:, :, None], soft_states, states)


def halved(feeds: Arrays, ids: Mapping[str, int]) -> tuple[Arrays, Arrays]:
    """Return the halves of a batch, each with the soft tokens of its rows.

    `ids` are the placeholders of the inputs that are soft tokens.
    """
    middle = len(feeds["input_ids"]) // 2
    first, second = dict[str, Any](), dict[str, Any]()
    for name, array in feeds.items():
        at = middle
        if name in ids:
            at = int(np.count_nonzero(feeds["input_ids"][:middle] == ids[name]))
        first[name], second[name] = array[:at], array[at:]
    return first, second


class TextNetwork(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """Returns the states of all tokens, [N, T, D], or their mean, [N, D], if `pools` is set.

    Soft tokens [tokens, width] take the places of their placeholders, in order.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network.language_model
        self.pad_id = int(network.config.text_config.pad_token_id or 0)
        self.ids = {name: getattr(network.config, key) for name, key in _PLACEHOLDERS.items()}
        self.pools = False

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        image_features: torch.Tensor,
        video_features: torch.Tensor,
        audio_features: torch.Tensor,
    ) -> torch.Tensor:
        """Return the states or the vectors of token ids [N, T]."""
        features_of = (image_features, video_features, audio_features)
        kinds = list(zip(self.ids.values(), features_of, strict=True))
        words = input_ids
        for token_id, _ in kinds:
            words = torch.where(input_ids == token_id, self.pad_id, words)
        states = self.network.embed_tokens(words)
        for token_id, features in kinds:
            states = with_soft_tokens(states, input_ids, token_id, features)
        states = self.network(inputs_embeds=states, attention_mask=attention_mask)
        states = states.last_hidden_state
        if not self.pools:
            return states
        weights = attention_mask[:, :, None].to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1)

    def halves(self, feeds: Arrays) -> tuple[Arrays, Arrays]:
        """Return the halves of a batch, each with the soft tokens of its rows."""
        return halved(feeds, self.ids)


class ImageNetwork(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """Returns the soft tokens of all pictures, [tokens, width], without those of padding."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.tower, self.embedder = network.vision_tower, network.embed_vision

    def forward(self, pixel_values: torch.Tensor, pixel_position_ids: torch.Tensor) -> Any:
        """Return the soft tokens of patches [N, P, pixels] at positions [N, P, 2]."""
        states = self.tower(pixel_values=pixel_values, pixel_position_ids=pixel_position_ids)
        return self.embedder(inputs_embeds=states.last_hidden_state)


class AudioNetwork(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """Returns the soft tokens of all sounds, [tokens, width], without those of padding."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.tower, self.embedder = network.audio_tower, network.embed_audio

    def forward(self, input_features: torch.Tensor, input_features_mask: torch.Tensor) -> Any:
        """Return the soft tokens of frames [N, F, bands]; the mask is [N, F], true for frames."""
        states = self.tower(input_features, input_features_mask, return_dict=True)
        return self.embedder(inputs_embeds=states.last_hidden_state)[states.attention_mask]


_OUTPUTS: dict[Modality, str] = {
    "text": "sentence_embedding",
    "image": "image_features",
    "audio": "audio_features",
}


def write_omni_graph(
    module: torch.nn.Module, modality: Modality, options: dict[str, Any], target: Path, opset: int
) -> None:
    """Export a tower as ONNX, with the names of the published graphs. Pooling is in the graph.

    Changes the options accordingly.
    """
    rows = torch.export.Dim("rows")
    example: tuple[torch.Tensor, ...]
    shapes: tuple[dict[int, Any], ...]
    if modality == "text":
        if options["pooling"] != "mean":
            raise ValueError(f"pooling = {options['pooling']!r} is not supported")
        options["pooling"], module.pools = "none", True
        ids = torch.full((2, 32), int(options["suffix_ids"][-1]), dtype=torch.int64)
        # Of different lengths, so that the graph does not take them for equal.
        soft = [torch.zeros(count, int(options["feature_width"])) for count in (3, 5, 7)]
        example = (ids, torch.ones_like(ids), *soft)
        words = {0: rows, 1: torch.export.Dim("tokens", min=2)}
        kinds = [{0: torch.export.Dim(f"{kind}_tokens")} for kind in ("image", "video", "audio")]
        shapes = (words, words, *kinds)
    elif modality == "image":
        patches = int(options["max_soft_tokens"]) * int(options["pooling"]) ** 2
        pixels = torch.zeros(2, patches, 3 * int(options["patch_px"]) ** 2)
        places = torch.full((2, patches, 2), -1)
        side = int(options["pooling"]) * 2
        grid = torch.stack(
            torch.meshgrid(torch.arange(side), torch.arange(side), indexing="xy"), -1
        )
        places[:, : side * side] = grid.reshape(-1, 2)
        example = (pixels, places)
        shapes = ({0: rows}, {0: rows})
    else:
        frames = torch.zeros(2, 128, int(options["mel_bands"]))
        mask = torch.ones(2, 128, dtype=torch.bool)
        mask[1, 100:] = False
        example = (frames, mask)
        # The frames of a call are padded to a multiple of 64.
        length = 64 * torch.export.Dim("blocks", min=1)
        shapes = ({0: rows, 1: length}, {0: rows, 1: length})
    options["output"] = _OUTPUTS[modality]
    with torch.no_grad():
        torch.onnx.export(
            module,
            example,
            target,
            input_names=list(INPUTS[modality]),
            output_names=[_OUTPUTS[modality]],
            opset_version=opset,
            dynamo=True,
            dynamic_shapes=shapes,
            external_data=False,
            # The optimiser joins the clipping of consecutive layers and loses a node over it.
            optimize=modality != "audio",
            verbose=False,
        )
