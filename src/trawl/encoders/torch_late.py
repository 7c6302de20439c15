"""The towers of ColModernVBERT and ColQwen2 on transformers, as modules with arrays for inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import ColModernVBertForRetrieval, ColQwen2ForRetrieval

from trawl.encoders.onnx_session import Arrays
from trawl.encoders.torch_omni import halved, with_soft_tokens
from trawl.types import Modality

_TEXT_INPUTS = ("input_ids", "attention_mask", "image_features")

INPUTS: dict[tuple[str, Modality], tuple[str, ...]] = {
    ("late", "text"): _TEXT_INPUTS,
    ("late", "image"): ("pixel_values",),
    ("late-qwen", "text"): _TEXT_INPUTS,
    ("late-qwen", "image"): ("pixel_values", "image_grid_thw"),
}
"""The arguments of a tower's `forward`, in order, by family and modality."""


def load_late(directory: Path, family: str, modality: Modality) -> torch.nn.Module:
    """Load one tower of a checkpoint. Raises `OSError` or `ValueError`, as transformers does."""
    kind = ColQwen2ForRetrieval if family == "late-qwen" else ColModernVBertForRetrieval
    network = kind.from_pretrained(directory, local_files_only=True).eval().float()
    if family == "late-qwen":
        visual, network.vlm.visual = network.vlm.visual, None
        return (QwenTextNetwork(network) if modality == "text" else QwenImageNetwork(visual)).eval()
    if modality == "text":
        network.vlm.vision_model = None
        return TextNetwork(network).eval()
    network.vlm.text_model = None
    return ImageNetwork(network.vlm).eval()


class TextNetwork(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """Returns the unit vectors of all tokens, [N, T, D]; those of padding are undefined.

    Soft tokens [tokens, width] take the places of their placeholders, in order.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.projection = network.vlm.text_model, network.embedding_proj_layer
        self.token_id = int(network.vlm.config.image_token_id)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        image_features: torch.Tensor,
    ) -> torch.Tensor:
        """Return the vectors of token ids [N, T]."""
        states = self.network.get_input_embeddings()(input_ids)
        states = with_soft_tokens(states, input_ids, self.token_id, image_features)
        states = self.network(inputs_embeds=states, attention_mask=attention_mask)
        return torch.nn.functional.normalize(self.projection(states.last_hidden_state), dim=-1)

    def halves(self, feeds: Arrays) -> tuple[Arrays, Arrays]:
        """Return the halves of a batch, each with the soft tokens of its rows."""
        return halved(feeds, {"image_features": self.token_id})


class QwenTextNetwork(TextNetwork):
    """The same of ColQwen2, whose positions are those of a text."""

    def __init__(self, network: Any) -> None:
        torch.nn.Module.__init__(self)
        self.network, self.projection = network.vlm.language_model, network.embedding_proj_layer
        self.token_id = int(network.config.vlm_config.image_token_id)


class QwenImageNetwork(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """Returns the soft tokens of all pictures, [tokens, width]."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.tower = network

    def forward(self, pixel_values: torch.Tensor, image_grid_thw: torch.Tensor) -> Any:
        """Return the soft tokens of patches [N, pixels] in grids [pictures, 3]."""
        return self.tower(pixel_values, grid_thw=image_grid_thw, return_dict=True).pooler_output

    def halves(self, feeds: Arrays) -> tuple[Arrays, Arrays]:
        """Return the halves of a batch, each with the patches of its pictures."""
        grids = feeds["image_grid_thw"]
        middle = len(grids) // 2
        at = int(grids[:middle].prod(axis=1).sum())
        patches = feeds["pixel_values"]
        return (
            {"pixel_values": patches[:at], "image_grid_thw": grids[:middle]},
            {"pixel_values": patches[at:], "image_grid_thw": grids[middle:]},
        )


class ImageNetwork(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """Returns the soft tokens of all tiles, [tokens, width]."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.tower, self.connector = network.vision_model, network.connector

    def forward(self, pixel_values: torch.Tensor) -> Any:
        """Return the soft tokens of tiles [N, 3, side, side]."""
        states = self.tower(pixel_values=pixel_values).last_hidden_state
        return self.connector(states).flatten(0, 1)


def write_late_graph(
    module: torch.nn.Module, modality: Modality, options: dict[str, Any], target: Path, opset: int
) -> None:
    """Export a tower as ONNX. Changes the options accordingly."""
    rows = torch.export.Dim("rows")
    if modality == "text":
        ids = torch.full((2, 32), int(options["suffix_ids"][-1]), dtype=torch.int64)
        soft = torch.zeros(3, int(options["feature_width"]))
        example: tuple[torch.Tensor, ...] = (ids, torch.ones_like(ids), soft)
        words = {0: rows, 1: torch.export.Dim("tokens", min=2)}
        shapes: tuple[dict[int, Any], ...] = (words, words, {0: torch.export.Dim("image_tokens")})
    else:
        side = int(options["tile_px"])
        example, shapes = (torch.zeros(2, 3, side, side),), ({0: rows},)
    options["output"] = "vectors" if modality == "text" else "image_features"
    with torch.no_grad():
        torch.onnx.export(
            module,
            example,
            target,
            input_names=list(INPUTS["late", modality]),
            output_names=[options["output"]],
            opset_version=opset,
            dynamo=True,
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
