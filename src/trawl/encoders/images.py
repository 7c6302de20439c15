"""Image towers: pictures are prepared on threads of their own, beside the network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from trawl.encoders.lazy import Once
from trawl.encoders.onnx_session import Network
from trawl.encoders.transforms import Transform
from trawl.encoders.vectors import unit
from trawl.types import Modality, Space, Vectors

if TYPE_CHECKING:
    from PIL.Image import Image

    from trawl.encoders.cards import Tower

_IMAGES_AT_ONCE = 16
# Prepared pictures wait for the network; no more of them than these, or they fill the memory.
_PREPARED_AHEAD = 2 * _IMAGES_AT_ONCE


def _preparers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1), "trawl-prepare")


_pool = Once(_preparers)


class ImageTower:
    """Pictures to unit vectors, by a network that takes `pixel_values` [N, 3, S, S]."""

    modality: Modality = "image"

    def __init__(self, tower: Tower, space: Space, network: Network) -> None:
        self.space = space
        self.transform = Transform.from_options(tower.options)
        self._network = network

    def encode(self, items: Sequence[Image]) -> Vectors:
        """Give float32 [len(items), D] unit vectors."""
        out = np.zeros((len(items), self.space.dimension), np.float32)
        waiting = [_pool().submit(self.transform, image) for image in items[:_PREPARED_AHEAD]]
        try:
            for start in range(0, len(items), _IMAGES_AT_ONCE):
                batch = np.stack([task.result() for task in waiting[:_IMAGES_AT_ONCE]])
                del waiting[:_IMAGES_AT_ONCE]
                following = start + _PREPARED_AHEAD
                waiting += [
                    _pool().submit(self.transform, image)
                    for image in items[following : following + _IMAGES_AT_ONCE]
                ]
                out[start : start + len(batch)] = self._network.run({"pixel_values": batch})
        finally:
            for task in waiting:
                task.cancel()
        return unit(out)
