"""Towers of the families that a card describes completely: all but mini."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trawl.encoders.base import StagedEncoder, report_load
from trawl.encoders.cards import Card, Tower
from trawl.encoders.images import ImageTower, Transform
from trawl.encoders.onnx_session import Network, OnnxNetwork
from trawl.encoders.sounds import AudioTower
from trawl.encoders.texts import TextTower
from trawl.errors import ModelError
from trawl.types import Modality, Space

_TOWERS: Mapping[Modality, Callable[[Tower, Space, Network], StagedEncoder]] = {
    "text": TextTower,
    "image": lambda tower, space, network: ImageTower(
        space, network, Transform.from_options(tower.options)
    ),
    "audio": AudioTower,
}


def load_towers(card: Card) -> dict[Modality, StagedEncoder]:
    """Return the card's towers. Each loads its weights at its first call."""
    if card.family in ("omni", "late", "late-qwen"):
        return _joined_towers(card)
    return {
        modality: _TOWERS[modality](tower, card.space, network_of(card, tower))
        for modality, tower in card.towers.items()
    }


def _joined_towers(card: Card) -> dict[Modality, StagedEncoder]:
    """Return the towers of a model that share the text network."""
    from trawl.encoders.late import LateImages, LateText
    from trawl.encoders.omni import OmniImages, OmniSounds, OmniText

    is_late = card.family != "omni"
    of_text: type[OmniText] = LateText if is_late else OmniText
    try:
        networks = {tower.modality: network_of(card, tower) for tower in card.towers.values()}
        text = of_text(card.towers["text"], card.space, networks["text"])
    except KeyError as error:
        raise ModelError(f"the card of {card.name} has no {error}") from error
    kinds: Mapping[Modality, Any] = {
        "image": LateImages if is_late else OmniImages,
        "audio": OmniSounds,
    }
    media = {
        modality: kind(card.towers[modality], card.space, networks[modality], text)
        for modality, kind in kinds.items()
        if modality in card.towers
    }
    return {"text": text, **media}


def network_of(card: Card, tower: Tower) -> Network:
    """Return a tower's network: an ONNX graph, or a checkpoint that transformers runs."""
    options: Mapping[str, Any] = tower.options
    on_load = report_load(card.space, tower.modality)
    if "graph" in options:
        return OnnxNetwork(
            lambda: _verified_graph(tower, options["graph"]),
            output=options.get("output", ""),
            renamed=options.get("inputs"),
            on_load=on_load,
        )
    if "weights" in options:
        from trawl.encoders.torch_network import TorchNetwork

        return TorchNetwork(
            tower.directory,
            card.family,
            tower.modality,
            lambda: tower.path(options["weights"]),
            on_load,
        )
    raise ModelError(
        f"[{tower.modality}] in the card of {card.name} names no network; "
        "set `graph` (ONNX) or `weights` (transformers)"
    )


def _verified_graph(tower: Tower, name: str) -> Path:
    """Return the graph's path after verifying it and its external weights."""
    for file in tower.files:
        if file.startswith(f"{name}_data"):
            tower.path(file)
    return tower.path(name)
