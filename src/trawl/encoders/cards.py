"""Model cards: TOML files that describe a model, its files and its preprocessing.

::

    name = "clip-vit-b32"         # the name on the command line
    family = "clip"               # see `trawl.encoders.registry`
    licence = "MIT"
    preprocessing = 1             # increased when the preprocessing code changes

    [source]                      # absent if the files are beside the card
    repository = "Xenova/clip-vit-base-patch32"
    revision = "main"             # preferably a commit; the downloaded commit is recorded
    size_mb = 606

    [published]                   # published results, for `trawl models list`
    "COCO text-to-image R@1" = 0.304

    [space]                       # absent for rerankers
    name = "clip-vit-b32"
    dimension = 512
    # dimensions = [512, 256]     # the lengths that a vector may be cut to (Matryoshka)

    [text]                        # one table per tower: the options of its family
    graph = "onnx/text_model.onnx"
    max_tokens = 77               # special tokens included; no limit (0) in mini
    batch = 64                    # items per call while files are added; 16 if absent
    [text.files]
    "onnx/text_model.onnx" = ""   # SHA-256; "": recorded at the first download
    "tokenizer.json" = "<sha-256>"

    [prior."text>image"]          # cosines of unrelated pairs, query > chunk
    mean = 0.02
    std = 0.08

A new model of a supported family needs only a card. Downloaded files are in the models folder
under the model's name, with `installed.json`: the commit and the SHA-256 of every file.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from trawl.errors import ModelError
from trawl.types import MODALITIES, Modality, Space

CARD = "card.toml"
INSTALLED = "installed.json"
"""Written last into a downloaded model's folder. Without it the model counts as missing."""

RERANKING = "cross-encoder"
"""The family of rerankers, which score pairs of texts and make no vectors."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Tower:
    """One encoder of a model: the SHA-256 of each file, and the options of the card's table.

    `batch` is the number of documents' items per call; None for the default.
    """

    modality: Modality
    directory: Path
    files: Mapping[str, str]
    options: Mapping[str, Any]
    batch: int | None = None

    def path(self, name: str) -> Path:
        """Return the path of a file after verifying its SHA-256. Raises `ModelError`."""
        path = self.directory / name
        try:
            digest = sha256_of(path)
        except OSError as error:
            raise ModelError(
                f"the model file {path} cannot be read ({error.strerror}); install the model again"
            ) from error
        if digest != self.files[name]:
            raise ModelError(
                f"the model file {path} is damaged: its SHA-256 is {digest[:12]}..., but the "
                f"card has {self.files[name][:12]}...; install the model again"
            )
        return path


@dataclass(frozen=True, slots=True)
class Source:
    """The Hugging Face repository and revision that a model is downloaded from."""

    repository: str
    revision: str
    size_mb: float


@dataclass(frozen=True, slots=True)
class Listing:
    """A model that may not be downloaded yet. `files` maps all towers' files to SHA-256 or ""."""

    name: str
    family: str
    licence: str
    dimension: int
    modalities: tuple[Modality, ...]
    source: Source | None
    published: Mapping[str, float]
    files: Mapping[str, str]
    directory: Path

    @property
    def is_here(self) -> bool:
        """Whether it can be loaded: it is in the package or completely downloaded."""
        return self.source is None or (self.directory / INSTALLED).is_file()


@dataclass(frozen=True, slots=True)
class Card:
    """A model that can be loaded.

    `priors` maps (query modality, chunk modality) to the mean and the standard deviation
    of the cosines of unrelated pairs. `dimensions` are the lengths that vectors may be cut to.
    """

    name: str
    family: str
    licence: str
    space: Space
    towers: Mapping[Modality, Tower]
    priors: Mapping[tuple[Modality, Modality], tuple[float, float]]
    dimensions: tuple[int, ...] = ()

    def shortened(self, dimension: int) -> Card:
        """Return the card of the space's first dimensions. Raises `ModelError` if it has none."""
        if dimension == self.space.dimension:
            return self
        if dimension not in self.dimensions:
            raise ModelError(
                f"the model {self.name} has no vectors of {dimension} dimensions; choose from "
                f"{', '.join(map(str, self.dimensions or (self.space.dimension,)))}"
            )
        fingerprint = f"{self.space.fingerprint}-{dimension}"
        space = replace(self.space, dimension=dimension, fingerprint=fingerprint)
        return replace(self, space=space)


def load_card(path: Path, models: Path | None = None) -> Card:
    """Load a card. `models` is the folder of downloaded models.

    Raises `ModelError` if the card is missing or invalid, or its model has not been
    downloaded.
    """
    return _parsed(path, lambda: _card(path.read_text("utf-8"), path, models))


def parse_card(text: str, path: Path) -> Card:
    """Parse a card whose model's files are beside `path`. Raises `ModelError`."""
    return _parsed(path, lambda: _card(text, path, None))


def load_listing(path: Path, models: Path) -> Listing:
    """Load the listing of a card. Raises `ModelError` if the card is missing or invalid."""
    return _parsed(path, lambda: _listing(path, models))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parsed(path: Path, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except OSError as error:
        raise ModelError(f"the model card {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"the model card {path} is not valid TOML: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the model card {path} is invalid: {error!r}") from error


def _card(text: str, path: Path, models: Path | None) -> Card:
    raw = tomllib.loads(text)
    directory, downloaded = path.parent, dict[str, str]()
    if "source" in raw:
        if models is None:
            raise ModelError(f"the model {raw['name']} has to be downloaded into a models folder")
        directory = models / raw["name"]
        downloaded = _installed(directory, raw["name"], float(raw["source"]["size_mb"]))
    towers: dict[Modality, Tower] = {
        modality: Tower(
            modality=modality,
            directory=directory,
            files={
                file: digest or downloaded[file] for file, digest in raw[modality]["files"].items()
            },
            options={
                key: value for key, value in raw[modality].items() if key not in ("files", "batch")
            },
            batch=_batch(raw[modality]),
        )
        for modality in MODALITIES
        if modality in raw
    }
    priors: dict[tuple[Modality, Modality], tuple[float, float]] = {
        (query, chunk): (float(prior["mean"]), float(prior["std"]))
        for query in MODALITIES
        for chunk in MODALITIES
        if (prior := raw.get("prior", {}).get(f"{query}>{chunk}"))
    }
    table = _space_table(raw)
    space = Space(
        name=table["name"],
        dimension=int(table["dimension"]),
        fingerprint=_fingerprint(raw["preprocessing"], towers),
    )
    dimensions = tuple(map(int, table.get("dimensions", ())))
    return Card(raw["name"], raw["family"], raw["licence"], space, towers, priors, dimensions)


def _listing(path: Path, models: Path) -> Listing:
    raw = tomllib.loads(path.read_text("utf-8"))
    source = raw.get("source")
    present = tuple(modality for modality in MODALITIES if modality in raw)
    return Listing(
        name=raw["name"],
        family=raw["family"],
        licence=raw["licence"],
        dimension=int(_space_table(raw)["dimension"]),
        modalities=present,
        source=Source(source["repository"], source["revision"], float(source["size_mb"]))
        if source
        else None,
        published={name: float(value) for name, value in raw.get("published", {}).items()},
        files={name: digest for m in present for name, digest in raw[m]["files"].items()},
        directory=models / raw["name"] if source else path.parent,
    )


def _space_table(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the card's `[space]`; a reranker has none."""
    if raw["family"] == RERANKING:
        return {"name": raw["name"], "dimension": 0}
    table: Mapping[str, Any] = raw["space"]
    return table


def _batch(table: Mapping[str, Any]) -> int | None:
    batch = table.get("batch")
    if batch is not None and (type(batch) is not int or batch < 1):
        raise ValueError(f"batch = {batch!r}: expected a whole number above 0")
    return batch


def _installed(directory: Path, name: str, size_mb: float) -> dict[str, str]:
    """Return the SHA-256 of each downloaded file. Raises `ModelError` if there are none."""
    file = directory / INSTALLED
    try:
        return dict(json.loads(file.read_text("utf-8"))["files"])
    except FileNotFoundError:
        raise ModelError(
            f"the model {name} is not in {directory.parent}; "
            f"download it ({size_mb:,.0f} MB) with `trawl models pull {name}`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{file} cannot be read ({error}); repair it with `trawl models pull {name}`"
        ) from error


def _fingerprint(preprocessing: int, towers: Mapping[Modality, Tower]) -> str:
    """Hash everything that determines the vector of an item."""
    parts = [f"preprocessing {preprocessing}"]
    for modality, tower in sorted(towers.items()):
        parts += [modality, repr(sorted(tower.options.items()))]
        parts += [f"{name} {digest}" for name, digest in sorted(tower.files.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
