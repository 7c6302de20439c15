"""Models: media in, unit vectors out. A profile is the models that a library uses together."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.base import Encoder, StagedEncoder, TextEncoder
from trawl.encoders.batcher import queued
from trawl.encoders.cards import CARD, Card, Listing, card_of, load_card, load_listing
from trawl.encoders.observed import observed
from trawl.encoders.preparing import prepare_soon
from trawl.errors import ModelError, UsageError
from trawl.types import Media, Modality, Space, Vectors

if TYPE_CHECKING:
    from trawl.encoders.cross_encoder import CrossEncoder

__all__ = [
    "PROFILES",
    "Encoder",
    "Listing",
    "Model",
    "StagedEncoder",
    "TextEncoder",
    "canonical_profile",
    "encode_query",
    "listing_of",
    "listings",
    "load_model",
    "load_profile",
    "load_reranker",
    "model_names",
    "prepare_soon",
    "rerankers",
    "tokens_cut",
]

_MODELS = Path(__file__).parent.parent / "models"

# A family's module has `load_encoders(card) -> dict[Modality, Encoder]`, which costs
# nothing: an encoder reads its weights at its first call.
_FAMILIES = {
    family: f"trawl.encoders.{family}" for family in ("mini", "clip", "siglip", "clap", "sentence")
}

RERANKING = "cross-encoder"
"""The family that makes no vectors: it reads a query and a passage together."""

PROFILES: Mapping[str, tuple[str, ...]] = {
    "mini": ("mini",),
    "standard": ("bge-small", "clip-vit-b32-laion", "clap"),
    "large": ("bge-large", "siglip2-so400m", "clap"),
}
"""What can be chosen by one word: the models of a library, the one that cuts texts first."""

DEFAULT_DIRECTORY = Path("~/.cache/trawl/models")
"""Where downloaded models lie unless another folder is given; `~` is the user's home."""


def encode_query(encoder: Encoder, item: Media) -> NDArray[np.float32]:
    """Give the unit vector [D] of one query. Some models embed a query unlike a document."""
    encode: Callable[[Sequence[Media]], Vectors] = getattr(
        encoder, "encode_queries", encoder.encode
    )
    vector: NDArray[np.float32] = encode([item])[0]
    return vector


def tokens_cut(encoder: Encoder, text: str) -> int:
    """Tell how many tokens at the end of a query in words an encoder does not see."""
    count: Callable[[str], int] | None = getattr(encoder, "tokens_cut", None)
    return count(text) if count is not None else 0


@dataclass(frozen=True)
class Model:
    """The towers of one space."""

    card: Card

    @property
    def space(self) -> Space:
        """Where the towers' vectors live."""
        return self.card.space

    @cached_property
    def encoders(self) -> Mapping[Modality, Encoder]:
        """The towers, each loaded at its first call."""
        module = _FAMILIES.get(self.card.family)
        if self.card.family == RERANKING:
            raise ModelError(
                f"the model {self.card.name} reranks and makes no vectors; name it when you "
                "search, with --rerank, and make a library of another model"
            )
        if module is None:
            raise ModelError(
                f"the model {self.card.name} is of the family {self.card.family!r}, which "
                f"this version does not run; it runs: {', '.join(_FAMILIES)}"
            )
        towers = import_module(module).load_encoders(self.card)
        # What mini takes for a query is less than what a queue takes to hand it over.
        wrap: Callable[[Any], Encoder] = observed if self.card.family == "mini" else queued
        return {modality: wrap(tower) for modality, tower in towers.items()}

    @property
    def text(self) -> TextEncoder:
        """The text tower. Raises `ModelError` where there is none."""
        encoder = self.encoders.get("text")
        if not isinstance(encoder, TextEncoder):
            raise ModelError(f"the model {self.card.name} has no text tower")
        return encoder

    def source(self, modality: Modality) -> str:
        """Name the source of a modality in this space: "mini.image"."""
        return f"{self.space.name}.{modality}"


def model_names() -> list[str]:
    """The models that have a card in the package; most are downloaded first."""
    return sorted(card.parent.name for card in _MODELS.glob("*/card.toml"))


def listings(directory: Path | None = None) -> list[Listing]:
    """Tell of every model that has a card, whether or not it is in the models' folder."""
    return [listing_of(name, directory) for name in model_names()]


def listing_of(name: str, directory: Path | None = None) -> Listing:
    """Tell of one model. Raises `ModelError` where there is none of that name."""
    if name not in model_names():
        raise ModelError(f"no model {name!r}; {_instead(name, model_names())}")
    return load_listing(_MODELS / name / CARD, _folder(directory))


def load_model(name: str, directory: Path | None = None) -> Model:
    """Give a model by its name, or by the path of a folder that holds one.

    `directory` is the folder of downloaded models. A path's folder has a card, or is a
    Hugging Face checkpoint, which the extra `trawl-multimodal[torch]` then runs. Raises
    `ModelError` where there is none, or where it has yet to be downloaded.
    """
    if name in model_names():
        return Model(load_card(_MODELS / name / CARD, _folder(directory)))
    path = Path(name).expanduser()
    if (path / CARD).is_file():
        return Model(load_card(path / CARD, _folder(directory)))
    if (path / "config.json").is_file():
        from trawl.encoders.export import describe_checkpoint

        return Model(card_of(describe_checkpoint(path), path / "config.json"))
    raise ModelError(f"no model {name!r}; {_instead(name, model_names())}, or a folder's path")


def load_profile(name: str, directory: Path | None = None) -> list[Model]:
    """Give the models of a profile, or those whose names or paths are joined by commas.

    The first cuts the texts. Raises `ModelError` where there is none of that name.
    """
    names = PROFILES.get(name) or tuple(part.strip() for part in name.split(",") if part.strip())
    known = [*PROFILES, *model_names()]
    for given in names:
        if given not in known and not _is_model_folder(Path(given).expanduser()):
            raise ModelError(f"no profile or model {given!r}; {_instead(given, known)}")
    return [load_model(model, directory) for model in names]


def rerankers() -> list[str]:
    """The models with a card in the package that rerank."""
    return [listing.name for listing in listings() if listing.family == RERANKING]


def load_reranker(name: str, directory: Path | None = None) -> CrossEncoder:
    """Give a cross-encoder by its name, or by the path of a folder that has its card.

    `directory` is the folder of downloaded models. Raises `UsageError` where no model of
    that name reranks, `ModelError` where it has yet to be downloaded.
    """
    path = Path(name).expanduser()
    if name in model_names():
        path = _MODELS / name
    elif not (path / CARD).is_file():
        raise UsageError(f"no reranker {name!r}; {_instead(name, rerankers())}, or a folder's path")
    family = load_listing(path / CARD, _folder(directory)).family
    if family != RERANKING:
        raise UsageError(
            f"the model {name} is of the family {family!r}, which makes vectors and does not "
            f"rerank; these do: {', '.join(rerankers())}"
        )
    from trawl.encoders.cross_encoder import CrossEncoder

    return CrossEncoder(load_card(path / CARD, _folder(directory)))


def canonical_profile(name: str) -> str:
    """Give a profile as a library remembers it: folders by their absolute path."""
    if name in PROFILES:
        return name
    parts = [part.strip() for part in name.split(",")]
    return ",".join(
        str(Path(part).expanduser().resolve())
        if part not in model_names() and _is_model_folder(Path(part).expanduser())
        else part
        for part in parts
    )


def _is_model_folder(path: Path) -> bool:
    return (path / CARD).is_file() or (path / "config.json").is_file()


def _folder(directory: Path | None) -> Path:
    return (directory or DEFAULT_DIRECTORY).expanduser()


def _instead(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + f"There are: {', '.join(known)}"
