"""Models are data: a card (TOML) says what a model is, where its files are and how it is fed.

::

    name = "clip-vit-b32"         # what people type
    family = "clip"               # which module of this package runs it
    licence = "MIT"
    preprocessing = 1             # raised when the code that feeds the towers changes

    [source]                      # left out where the files lie beside the card
    repository = "Xenova/clip-vit-base-patch32"
    revision = "main"             # better a commit; what was fetched is recorded
    size_mb = 606

    [published]                   # figures of the model's authors, to choose by
    "COCO text-to-image R@1" = 0.304

    [space]                       # left out of a card of the family cross-encoder
    name = "clip-vit-b32"
    dimension = 512

    [text]                        # one table a tower; all but `files` is for the family
    graph = "onnx/text_model.onnx"
    max_tokens = 77               # 0: no limit
    [text.files]
    "onnx/text_model.onnx" = ""   # SHA-256; "": recorded when it is first downloaded
    "tokenizer.json" = "<sha-256>"

    [prior."text>image"]          # cosines of unrelated pairs: query's modality > source's
    mean = 0.02
    std = 0.08

A new model of a known family is a new card. What was downloaded lies in the models' folder,
below the model's name, with `installed.json`: the commit, and every file's SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from trawl.errors import ModelError
from trawl.types import MODALITIES, Modality, Space

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Tower:
    """One encoder of a model: its files with their SHA-256, and its family's options."""

    modality: Modality
    directory: Path
    files: Mapping[str, str]
    options: Mapping[str, Any]

    def path(self, name: str) -> Path:
        """Give a file's path, once its hash is what the card says. Raises `ModelError`."""
        path = self.directory / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(
                f"the model file {path} cannot be read ({error.strerror}); install it again"
            ) from error
        if found != self.files[name]:
            raise ModelError(
                f"the model file {path} is damaged: its SHA-256 is {found[:12]}..., the card "
                f"says {self.files[name][:12]}...; install it again"
            )
        return path


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model is downloaded from: a repository of the Hugging Face hub, at a revision."""

    repository: str
    revision: str
    size_mb: float


@dataclass(frozen=True, slots=True)
class Listing:
    """What is known of a model before it is here. `files` are all towers', by SHA-256 or ""."""

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
        """Whether it can be loaded: it is in the package, or wholly downloaded."""
        return self.source is None or (self.directory / INSTALLED).is_file()


@dataclass(frozen=True, slots=True)
class Card:
    """A model: its space, its towers, and how similar unrelated things are in it.

    `priors` maps (query's modality, source's modality) to the mean and the standard
    deviation of the cosines of pairs that have nothing to do with each other.
    """

    name: str
    family: str
    licence: str
    space: Space
    towers: Mapping[Modality, Tower]
    priors: Mapping[tuple[Modality, Modality], tuple[float, float]]


CARD = "card.toml"
INSTALLED = "installed.json"
"""Beside a downloaded model's files, written last: without it the model is not there."""


def load_card(path: Path, models: Path | None = None) -> Card:
    """Read a card; `models` is the folder that downloaded models lie in.

    Raises `ModelError` where the card is missing or not of this form, and where its
    model has not been downloaded.
    """
    return _checked(path, lambda: _card(path.read_text("utf-8"), path, models))


def card_of(text: str, path: Path) -> Card:
    """Read a card that is not in a file; its files lie beside `path`. Raises `ModelError`."""
    return _checked(path, lambda: _card(text, path, None))


def load_listing(path: Path, models: Path) -> Listing:
    """Read what a card says of a model that need not be here. Raises `ModelError`."""
    return _checked(path, lambda: _listing(path, models))


def _checked(path: Path, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except OSError as error:
        raise ModelError(f"the model card {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"the model card {path} is not TOML: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the model card {path} is not as it should be: {error!r}") from error


def _card(text: str, path: Path, models: Path | None) -> Card:
    raw = tomllib.loads(text)
    directory, known = path.parent, dict[str, str]()
    if "source" in raw:
        if models is None:
            raise ModelError(f"the model {raw['name']} is one to download, and no folder was given")
        directory = models / raw["name"]
        known = _installed(directory, raw["name"], float(raw["source"]["size_mb"]))
    towers: dict[Modality, Tower] = {
        modality: Tower(
            modality=modality,
            directory=directory,
            files={file: digest or known[file] for file, digest in raw[modality]["files"].items()},
            options={key: value for key, value in raw[modality].items() if key != "files"},
        )
        for modality in MODALITIES
        if modality in raw
    }
    priors: dict[tuple[Modality, Modality], tuple[float, float]] = {
        (query, source): (float(found["mean"]), float(found["std"]))
        for query in MODALITIES
        for source in MODALITIES
        if (found := raw.get("prior", {}).get(f"{query}>{source}"))
    }
    described = _space(raw)
    space = Space(
        name=described["name"],
        dimension=int(described["dimension"]),
        fingerprint=_fingerprint(raw["preprocessing"], towers),
    )
    return Card(raw["name"], raw["family"], raw["licence"], space, towers, priors)


def _listing(path: Path, models: Path) -> Listing:
    raw = tomllib.loads(path.read_text("utf-8"))
    source = raw.get("source")
    present = tuple(modality for modality in MODALITIES if modality in raw)
    return Listing(
        name=raw["name"],
        family=raw["family"],
        licence=raw["licence"],
        dimension=int(_space(raw)["dimension"]),
        modalities=present,
        source=Source(source["repository"], source["revision"], float(source["size_mb"]))
        if source
        else None,
        published={name: float(value) for name, value in raw.get("published", {}).items()},
        files={name: digest for m in present for name, digest in raw[m]["files"].items()},
        directory=models / raw["name"] if source else path.parent,
    )


def _space(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a card's space; a reranker makes no vectors and has none."""
    none = {"name": raw["name"], "dimension": 0} if raw["family"] == "cross-encoder" else None
    found: Mapping[str, Any] = none or raw["space"]
    return found


def _installed(directory: Path, name: str, size_mb: float) -> dict[str, str]:
    """Give the SHA-256 of each file that was downloaded."""
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
    """Hash everything that decides what vector a given item gets."""
    parts = [f"preprocessing {preprocessing}"]
    for modality, tower in sorted(towers.items()):
        parts += [modality, repr(sorted(tower.options.items()))]
        parts += [f"{name} {digest}" for name, digest in sorted(tower.files.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
