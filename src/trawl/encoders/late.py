"""Pages and pictures as sets of vectors, which queries search by late interaction.

A picture is cut into tiles (ColModernVBERT) or patches (ColQwen2), whose soft tokens the text
network reads in place of placeholders, as in `trawl.encoders.omni`. The vectors of all tokens are
pooled to as many as the space has parts; those of a query are kept. Preprocessing follows the
processors of the reference implementation (transformers, `idefics3` and `qwen2_vl`) in their Pillow
versions. `trawl.maxsim` compares the sets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trawl.encoders.images import FILTERS
from trawl.encoders.omni import MediaOptions, MediaTower, OmniText, Prepared
from trawl.encoders.onnx_session import Network
from trawl.encoders.texts import TextTower, Windows
from trawl.maxsim import joined, pooled
from trawl.types import Modality, Space, Vectors

if TYPE_CHECKING:
    from trawl.encoders.cards import Tower

_LONGEST_PX = 4096
_MOST_ASPECT = 200
_AROUND, _GLOBAL, _PLACEHOLDER = "<fake_token_around_image>", "<global-img>", "<image>"


class LateText(OmniText):
    """Embeds queries as sets of vectors, one for each token."""

    def prepare(self, item: str, *, query: bool = False) -> Windows:
        """Return the one window of token ids of a text, truncated as a query is."""
        return super().prepare(item, query=True)

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the token ids of a picture's prompt, with its placeholders."""
        ends = self.options
        return [*ends.prefix_ids, *TextTower._ids(self, prompt), *ends.suffix_ids]

    def media_vectors(
        self, rows: Sequence[Sequence[int]], name: str, features: NDArray[np.float32]
    ) -> Vectors:
        """Return float32 [len(rows), D] flat unit vectors, pooled from those of the tokens."""
        parts = self.space.parts
        states = self.token_vectors(rows, {name: features})
        return np.stack([joined(pooled(each, parts), parts) for each in states])

    def token_vectors(
        self, rows: Sequence[Sequence[int]], features: dict[str, NDArray[np.float32]]
    ) -> list[Vectors]:
        """Return the unit vectors, float32 [T, D / parts], of each row's tokens."""
        ids, mask = self.padded(rows)
        states = self._run({"input_ids": ids, "attention_mask": mask, **features})
        return [each[kept > 0] for each, kept in zip(states, mask, strict=True)]

    def _vectors(self, windows: Sequence[Sequence[int]], length: int) -> Vectors:
        ends = self.options
        rows = [[*ends.prefix_ids, *window, *ends.suffix_ids] for window in windows]
        return np.stack([joined(each, self.space.parts) for each in self.token_vectors(rows, {})])


@dataclass(frozen=True)
class _Prompted(MediaOptions):
    """The options of pictures whose soft tokens are placeholders in a prompt."""

    filter: str
    mean: list[float]
    std: list[float]
    prompt: str

    def check(self) -> None:
        """Raise `ValueError` for an option that is out of range."""
        if self.filter not in FILTERS:
            raise ValueError(f"filter = {self.filter!r}")
        if self.prompt.count(self._placeholder) != 1:
            raise ValueError(f"prompt = {self.prompt!r} does not contain {self._placeholder} once")

    @property
    def _placeholder(self) -> str:
        return _PLACEHOLDER

    def ids(self, soft_tokens: int) -> list[int]:
        """Return no ids: they are in the prompt, between others."""
        return []


@dataclass(frozen=True)
class Tiles(_Prompted):
    """The options of `[image]`: how a picture becomes tiles.

    A picture is scaled, with `filter`, so that its longer side has `longest_px`, then so that both
    sides are multiples of a tile of `tile_px`, and cut. The whole picture, squashed to one tile,
    comes last. `soft_tokens_per_tile` placeholders stand for each tile in the `prompt`, in the
    place of `<image>`.
    """

    longest_px: int
    tile_px: int
    soft_tokens_per_tile: int

    def check(self) -> None:
        """Raise `ValueError` for an option that is out of range."""
        super().check()
        if min(self.longest_px, self.tile_px, self.soft_tokens_per_tile) < 1:
            raise ValueError("longest_px, tile_px and soft_tokens_per_tile must be above 0")

    def grid(self, width: int, height: int) -> tuple[int, int, tuple[int, int]]:
        """Return rows and columns of tiles, and the size in pixels before they are a multiple."""
        longest, ratio = min(self.longest_px, _LONGEST_PX), width / height
        if width >= height:
            wide, high = longest, int(longest / ratio)
            high += high % 2
        else:
            wide, high = int(longest * ratio), longest
            wide += wide % 2
        wide, high, tile = max(wide, 1), max(high, 1), self.tile_px
        if wide >= high:
            columns = math.ceil(wide / tile)
            rows = math.ceil(int(columns * tile / (wide / high)) / tile)
        else:
            rows = math.ceil(high / tile)
            columns = math.ceil(int(rows * tile * (wide / high)) / tile)
        return max(rows, 1), max(columns, 1), (wide, high)

    def __call__(self, image: Image.Image) -> tuple[NDArray[np.uint8], int, int]:
        """Return the tiles, uint8 [N, 3, tile_px, tile_px], and the rows and columns.

        There are none of the latter if the picture is one tile.
        """
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        rows, columns, size = self.grid(*rgb.size)
        tile, kind = self.tile_px, FILTERS[self.filter]
        scaled = rgb.resize(size, kind).resize((columns * tile, rows * tile), kind)
        pixels = np.asarray(scaled).transpose(2, 0, 1)
        if rows == columns == 1:
            return pixels[None].copy(), 0, 0
        cut = pixels.reshape(3, rows, tile, columns, tile).transpose(1, 3, 0, 2, 4)
        whole = np.asarray(scaled.resize((tile, tile), kind)).transpose(2, 0, 1)
        return np.concatenate([cut.reshape(-1, 3, tile, tile), whole[None]]), rows, columns

    def text(self, rows: int, columns: int) -> str:
        """Return the prompt of a picture, with a placeholder for each soft token."""
        places = _PLACEHOLDER * self.soft_tokens_per_tile
        shown = "".join(
            "".join(
                f"{_AROUND}<row_{row + 1}_col_{column + 1}>{places}" for column in range(columns)
            )
            + "\n"
            for row in range(rows)
        )
        shown += "\n" if rows else ""
        return self.prompt.replace(_PLACEHOLDER, f"{shown}{_AROUND}{_GLOBAL}{places}{_AROUND}")

    def feeds(self, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
        """Return the inputs of the network for the tiles of pictures."""
        tiles = np.concatenate(pictures).astype(np.float32) * np.float32(1 / 255)
        mean, std = (np.array(each, np.float32)[:, None, None] for each in (self.mean, self.std))
        return {"pixel_values": (tiles - mean) / std}

    def soft_tokens(self, picture: NDArray[np.uint8]) -> int:
        """Return the number of soft tokens of a picture's tiles."""
        return len(picture) * self.soft_tokens_per_tile


@dataclass(frozen=True)
class Grid(_Prompted):
    """The options of `[image]`: how a picture becomes a grid of patches.

    A picture is scaled, with `filter`, so that both sides are multiples of `merged` patches of
    `patch_px` pixels, and it has `min_pixels` to `max_pixels`. `merged` x `merged` patches become
    one soft token, for which a placeholder stands in the `prompt`. `frames` is how often each
    patch is repeated, as in a video that stands still.
    """

    patch_px: int
    merged: int
    frames: int
    min_pixels: int
    max_pixels: int
    placeholder: str

    @property
    def _placeholder(self) -> str:
        return self.placeholder

    def check(self) -> None:
        """Raise `ValueError` for an option that is out of range."""
        super().check()
        if min(self.patch_px, self.merged, self.frames, self.min_pixels) < 1:
            raise ValueError("patch_px, merged, frames and min_pixels must be above 0")

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and the height in pixels that a picture is scaled to.

        The reference refuses a picture whose sides differ by more than 200 times; here its long
        side is shortened.
        """
        longest = _MOST_ASPECT * min(width, height)
        width, height = min(width, longest), min(height, longest)
        side = self.patch_px * self.merged
        wide, high = (round(edge / side) * side for edge in (width, height))
        if wide * high > self.max_pixels:
            scale = math.sqrt(width * height / self.max_pixels)
            return (
                max(side, math.floor(width / scale / side) * side),
                max(side, math.floor(height / scale / side) * side),
            )
        if wide * high < self.min_pixels:
            scale = math.sqrt(self.min_pixels / (width * height))
            return (
                math.ceil(width * scale / side) * side,
                math.ceil(height * scale / side) * side,
            )
        return wide, high

    def __call__(self, image: Image.Image) -> tuple[NDArray[np.uint8], int, int]:
        """Return the patches, uint8 [rows, columns, 3 * patch_px * patch_px], and their grid.

        Patches that become one token follow each other.
        """
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        width, height = self.size(*rgb.size)
        pixels = np.asarray(rgb.resize((width, height), FILTERS[self.filter]))
        edge, merged = self.patch_px, self.merged
        rows, columns = height // edge, width // edge
        cut = pixels.reshape(
            rows // merged, merged, edge, columns // merged, merged, edge, 3
        ).transpose(0, 3, 1, 4, 6, 2, 5)
        return cut.reshape(rows, columns, -1), rows, columns

    def text(self, rows: int, columns: int) -> str:
        """Return the prompt of a picture, with a placeholder for each soft token."""
        count = rows * columns // self.merged**2
        return self.prompt.replace(self.placeholder, self.placeholder * count)

    def feeds(self, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
        """Return the inputs of the network for pictures as patches."""
        patches = np.concatenate([one.reshape(one.shape[0] * one.shape[1], -1) for one in pictures])
        mean, std = (np.array(each, np.float32)[:, None] for each in (self.mean, self.std))
        scaled = patches.reshape(len(patches), 3, -1) * np.float32(1 / 255)
        normal = ((scaled - mean) / std).reshape(len(patches), 3, 1, -1)
        repeated = np.repeat(normal, self.frames, axis=2).reshape(len(patches), -1)
        grid = np.array([[1, *one.shape[:2]] for one in pictures], np.int64)
        return {"pixel_values": repeated.astype(np.float32), "image_grid_thw": grid}

    def soft_tokens(self, picture: NDArray[np.uint8]) -> int:
        """Return the number of soft tokens of a picture."""
        return int(picture.shape[0] * picture.shape[1] // self.merged**2)


class LateImages(MediaTower[Any]):
    """Embeds pictures as sets of vectors."""

    modality: Modality = "image"

    def __init__(self, tower: Tower, space: Space, network: Network, text: LateText) -> None:
        super().__init__(space, network, text)
        kind = Tiles if "tile_px" in tower.options else Grid
        self.options = kind.from_options(tower.options)
        self._prompts = text

    def prepare(self, item: Image.Image, *, query: bool = False) -> list[Prepared]:
        """Return the tiles or patches of one picture, and the token ids of its prompt."""
        arrays, rows, columns = self.options(item)
        ids = self._prompts.prompt_ids(self.options.text(rows, columns))
        return [Prepared(arrays, tuple(ids), ())]
