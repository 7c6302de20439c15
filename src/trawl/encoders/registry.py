"""Models by name. A profile is the set of models that a library uses together."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from trawl.encoders.base import Encoder, StagedEncoder, TextEncoder, encode_queries
from trawl.encoders.batcher import direct, queued
from trawl.encoders.cards import (
    CARD,
    RERANKING,
    Card,
    Listing,
    load_card,
    load_listing,
    parse_card,
)
from trawl.encoders.reference import Reference, bank_questions, stored_reference
from trawl.errors import ModelError, UsageError
from trawl.types import Modality, Space

if TYPE_CHECKING:
    from trawl.encoders.cross_encoder import CrossEncoder

_MODELS = Path(__file__).parent.parent / "models"

PROFILES: Mapping[str, tuple[str, ...]] = {
    "mini": ("mini",),
    "standard": ("embeddinggemma-2",),
    "large": ("bge-large", "siglip2-so400m", "clap"),
    "documents": ("embeddinggemma-2", "colmodernvbert"),
    "clip": ("clip-vit-b32",),
}
"""Models by profile. The first model's tokenizer splits the texts.

A library opens with the models that its profile had when it was created.
"""

FAMILIES: Mapping[str, frozenset[Modality]] = {
    "mini": frozenset({"text", "image", "audio"}),
    "clip": frozenset({"text", "image"}),
    "siglip": frozenset({"text", "image"}),
    "clap": frozenset({"text", "audio"}),
    "sentence": frozenset({"text"}),
    "omni": frozenset({"text", "image", "audio"}),
    "late": frozenset({"text", "image"}),
    "late-qwen": frozenset({"text", "image"}),
}
"""The families of embedding models, and the towers that each may have.

- mini: the built-in model.
- clip: CLIP and OpenCLIP (Radford et al. 2021), MetaCLIP 2 (Chuang et al. 2025), and MobileCLIP
  as ONNX.
- siglip: SigLIP (Zhai et al. 2023) and SigLIP 2 (Tschannen et al. 2025), fixed resolution.
- clap: unfused CLAP (Wu et al. 2023).
- sentence: BERT and its descendants (MiniLM, BGE, E5, GTE), as in sentence-transformers.
- omni: EmbeddingGemma 2 (Google DeepMind 2026), whose media pass through the text tower.
- late: ColModernVBERT (Teiletche et al. 2025), which keeps a vector of each token.
- late-qwen: ColQwen2 (Faysse et al. 2024), the same on Qwen2-VL; by transformers only.
"""

DEFAULT_DIRECTORY = Path("~/.cache/trawl/models")
"""Default folder of downloaded models."""


@dataclass(frozen=True)
class Model:
    """An embedding model: the towers of one space.

    `given` are encoders of the caller's own (`trawl.encoders.own`), instead of the card's files.
    """

    card: Card
    given: Mapping[Modality, Encoder] = field(default_factory=dict)

    @property
    def space(self) -> Space:
        """The space of its vectors."""
        return self.card.space

    @cached_property
    def encoders(self) -> Mapping[Modality, Encoder]:
        """The towers. Each loads its weights at its first call."""
        if self.given:
            return {
                modality: queued(encoder, self.card.towers[modality].batch)
                if isinstance(encoder, StagedEncoder)
                else encoder
                for modality, encoder in self.given.items()
            }
        _check_family(self.card)
        if self.card.family == "mini":
            from trawl.encoders.mini import mini_towers

            # A query takes mini less time than handing it to a queue would.
            return {modality: direct(tower) for modality, tower in mini_towers(self.card).items()}
        from trawl.encoders.towers import load_towers

        return {
            modality: queued(tower, self.card.towers[modality].batch)
            for modality, tower in load_towers(self.card).items()
        }

    @property
    def indexed(self) -> tuple[Modality, ...]:
        """The modalities whose vectors a library stores; for others it encodes queries alone."""
        is_late = self.space.parts > 1
        return tuple(m for m in self.encoders if m != "text" or not is_late)

    @cached_property
    def text(self) -> TextEncoder:
        """The text tower. Raises `ModelError` if there is none."""
        encoder = self.encoders.get("text")
        if not isinstance(encoder, TextEncoder):
            raise ModelError(f"the model {self.card.name} has no text tower")
        return encoder

    @cached_property
    def reference(self) -> Reference:
        """The vectors of the question bank; encoded at first use if they are not stored."""
        stored = stored_reference(self.card.name, self.space.fingerprint)
        return stored or Reference(encode_queries(self.text, bank_questions()))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of queries for which the model has a prompt."""
        text = self.card.towers.get("text")
        return tuple(text.options.get("tasks", ())) if text is not None else ()

    def source(self, modality: Modality) -> str:
        """Return the name of a modality's source in this space, such as "mini.image"."""
        return f"{self.space.name}.{modality}"


def _check_family(card: Card) -> None:
    """Raise `ModelError` unless the card is of an embedding family and has its towers only."""
    if card.family == RERANKING:
        raise ModelError(
            f"the model {card.name} is a reranker and makes no vectors; use it with "
            "`--rerank`, and create the library with an embedding model"
        )
    modalities = FAMILIES.get(card.family)
    if modalities is None:
        raise ModelError(
            f"the model {card.name} is of the family {card.family!r}, which this version does "
            f"not support; supported: {', '.join(FAMILIES)}"
        )
    if foreign := set(card.towers) - modalities:
        raise ModelError(
            f"the card of {card.name} has the tables {', '.join(sorted(foreign))}, but models of "
            f"the family {card.family} have only {', '.join(sorted(modalities))}"
        )


def model_names() -> list[str]:
    """Return the names of the models whose cards are in the package."""
    return sorted(card.parent.name for card in _MODELS.glob("*/card.toml"))


def listings(directory: Path | None = None) -> list[Listing]:
    """Describe every model in the package, downloaded or not."""
    return [listing_of(name, directory) for name in model_names()]


def listing_of(name: str, directory: Path | None = None) -> Listing:
    """Describe one model. Raises `ModelError` for an unknown name."""
    if name not in model_names():
        raise ModelError(f"no model {name!r}; {_suggest(name, model_names())}")
    return load_listing(_MODELS / name / CARD, _model_directory(directory))


def load_model(name: str, directory: Path | None = None) -> Model:
    """Return a model by its name or by the path of its folder.

    The folder contains a card, or is a Hugging Face checkpoint, which requires the extra
    `trawl-multimodal[torch]`. `directory` is the folder of downloaded models. Raises
    `ModelError` for an unknown name, and if the model has not been downloaded.
    """
    if name in model_names():
        return Model(load_card(_MODELS / name / CARD, _model_directory(directory)))
    path = Path(name).expanduser()
    if (path / CARD).is_file():
        return Model(load_card(path / CARD, _model_directory(directory)))
    if (path / "config.json").is_file():
        from trawl.encoders.export import describe_checkpoint

        return Model(parse_card(describe_checkpoint(path), path / "config.json"))
    raise ModelError(f"no model {name!r}; {_suggest(name, model_names())}, or a folder's path")


def load_profile(
    name: str,
    directory: Path | None = None,
    dimension: int | None = None,
    own: Mapping[str, Model] = MappingProxyType({}),
) -> list[Model]:
    """Return the models of a profile, or of a comma-separated list of names and paths.

    The first model's tokenizer splits the texts. `dimension` is that of the models that offer
    several. `own` are further models by name. Raises `ModelError` for an unknown name, or if no
    model offers the dimension.
    """
    names = PROFILES.get(name) or tuple(part.strip() for part in name.split(",") if part.strip())
    known = [*own, *PROFILES, *model_names()]
    for part in names:
        if part not in known and not _is_model_folder(Path(part).expanduser()):
            raise ModelError(f"no profile or model {part!r}; {_suggest(part, known)}")
    models = [own[part] if part in own else load_model(part, directory) for part in names]
    return models if dimension is None else [*_shortened(models, dimension)]


def _shortened(models: Sequence[Model], dimension: int) -> Iterator[Model]:
    if not any(model.card.dimensions for model in models):
        names = ", ".join(model.card.name for model in models)
        raise ModelError(f"no model among {names} offers a choice of dimensions")
    for model in models:
        yield Model(model.card.shortened(dimension)) if model.card.dimensions else model


def profile_of_spaces(name: str, spaces: Sequence[str]) -> str:
    """Return the models of a library as a list of names, if its profile has changed since.

    `spaces` are the names of the library's spaces, which are those of its models.
    """
    if name not in PROFILES or PROFILES[name] == tuple(spaces):
        return name
    return ",".join(spaces) if set(spaces) <= set(model_names()) else name


def encoders_of(models: Iterable[Model]) -> Mapping[Modality, list[tuple[str, Encoder]]]:
    """Return the encoders of documents by modality, each with the name of its source."""
    encoders: dict[Modality, list[tuple[str, Encoder]]] = {}
    for model in models:
        for modality in model.indexed:
            encoder = model.encoders[modality]
            encoders.setdefault(modality, []).append((model.source(modality), encoder))
    return encoders


def canonical_profile(name: str, own: Collection[str] = ()) -> str:
    """Return a profile as a library stores it, with absolute paths of folders.

    `own` are names that are no folders.
    """
    if name in PROFILES:
        return name
    parts = [part.strip() for part in name.split(",")]
    return ",".join(
        str(Path(part).expanduser().resolve())
        if part not in (*own, *model_names()) and _is_model_folder(Path(part).expanduser())
        else part
        for part in parts
    )


def rerankers() -> list[str]:
    """Return the names of the rerankers whose cards are in the package."""
    return [listing.name for listing in listings() if listing.family == RERANKING]


def load_reranker(name: str, directory: Path | None = None) -> CrossEncoder:
    """Return a cross-encoder by its name or by the path of its folder.

    `directory` is the folder of downloaded models. Raises `UsageError` if there is no
    reranker of that name, `ModelError` if it has not been downloaded.
    """
    path = Path(name).expanduser()
    if name in model_names():
        path = _MODELS / name
    elif not (path / CARD).is_file():
        raise UsageError(f"no reranker {name!r}; {_suggest(name, rerankers())}, or a folder's path")
    family = load_listing(path / CARD, _model_directory(directory)).family
    if family != RERANKING:
        raise UsageError(
            f"the model {name} is of the family {family!r}, which makes vectors and does not "
            f"rerank; rerankers: {', '.join(rerankers())}"
        )
    from trawl.encoders.cross_encoder import CrossEncoder

    return CrossEncoder(load_card(path / CARD, _model_directory(directory)))


def _is_model_folder(path: Path) -> bool:
    return (path / CARD).is_file() or (path / "config.json").is_file()


def _model_directory(directory: Path | None) -> Path:
    return (directory or DEFAULT_DIRECTORY).expanduser()


def _suggest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    names = ", ".join(known)
    return f"did you mean {near[0]!r}? There are: {names}" if near else f"there are: {names}"
