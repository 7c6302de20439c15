"""From a card to its towers: what the families clip, siglip, clap and sentence share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trawl.encoders.base import StagedEncoder
from trawl.encoders.cards import Card, Tower
from trawl.encoders.images import ImageTower
from trawl.encoders.observed import loaded
from trawl.encoders.onnx_session import Network, OnnxNetwork
from trawl.encoders.sounds import AudioTower
from trawl.encoders.texts import TextTower
from trawl.errors import ModelError
from trawl.types import Modality, Space

_KINDS: Mapping[Modality, Callable[[Tower, Space, Network], StagedEncoder]] = {
    "text": TextTower,
    "image": ImageTower,
    "audio": AudioTower,
}


def load_towers(card: Card, modalities: frozenset[Modality]) -> dict[Modality, StagedEncoder]:
    """Give the card's towers, each of which reads its weights at its first call.

    Raises `ModelError` for a tower of a modality that the family has not got.
    """
    foreign = set(card.towers) - modalities
    if foreign:
        raise ModelError(
            f"the card of {card.name} has a tower of {', '.join(sorted(foreign))}, and the "
            f"family {card.family} has only {', '.join(sorted(modalities))}"
        )
    return {
        modality: _KINDS[modality](tower, card.space, network_of(card, tower))
        for modality, tower in card.towers.items()
    }


def network_of(card: Card, tower: Tower) -> Network:
    """Give the network of a tower: an ONNX graph, or a checkpoint run by transformers."""
    options: Mapping[str, Any] = tower.options
    told = loaded(card.space, tower.modality)
    if "graph" in options:
        return OnnxNetwork(
            lambda: _graph(tower, options["graph"]),
            output=options.get("output", ""),
            renamed=options.get("inputs"),
            told=told,
        )
    if "weights" in options:
        from trawl.encoders.torch_network import TorchNetwork

        return TorchNetwork(
            tower.directory,
            card.family,
            tower.modality,
            lambda: tower.path(options["weights"]),
            told,
        )
    raise ModelError(
        f"the card of {card.name} names no network for {tower.modality}; "
        "it wants `graph` (ONNX) or `weights` (transformers)"
    )


def _graph(tower: Tower, name: str) -> Path:
    """Give the graph's path, once it and the weights that lie beside it are what the card says."""
    for file in tower.files:
        if file.startswith(f"{name}_data"):
            tower.path(file)
    return tower.path(name)
