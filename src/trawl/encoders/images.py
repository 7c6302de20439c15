"""Image towers: the card's steps for each picture, then the network for many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.onnx_session import Network
from trawl.encoders.transforms import Transform
from trawl.encoders.vectors import unit
from trawl.types import Modality, Space, Vectors

if TYPE_CHECKING:
    from PIL.Image import Image

    from trawl.encoders.cards import Tower

_IMAGES_AT_ONCE = 16


class ImageTower:
    """Pictures to unit vectors, by a network that takes `pixel_values` [N, 3, S, S]."""

    modality: Modality = "image"

    def __init__(self, tower: Tower, space: Space, network: Network) -> None:
        self.space = space
        self.transform = Transform.from_options(tower.options)
        self._network = network

    def prepare(self, item: Image, *, query: bool = False) -> NDArray[np.float32]:
        """Give the pixels float32 [3, S, S] that the network sees, of a query as of a document."""
        return self.transform(item)

    def run(self, prepared: Sequence[NDArray[np.float32]]) -> Vectors:
        """Give float32 [len(prepared), D] unit vectors of prepared pictures."""
        out = np.zeros((len(prepared), self.space.dimension), np.float32)
        for start in range(0, len(prepared), _IMAGES_AT_ONCE):
            batch = np.stack(prepared[start : start + _IMAGES_AT_ONCE])
            out[start : start + len(batch)] = self._network.run({"pixel_values": batch})
        return unit(out)

    def encode(self, items: Sequence[Any]) -> Vectors:
        """Give float32 [len(items), D] unit vectors."""
        return self.run([self.prepare(image) for image in items])
