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
    # parts = 64                  # vectors of an item, for late interaction; `dimension` is of all

    [text]                        # one table per tower: the options of its family
    graph = "onnx/text_model.onnx"
    max_tokens = 77               # special tokens included; no limit (0) in mini
    batch = 64                    # items per call while files are added; 16 if absent
    size_mb = 254                 # if the towers are downloaded one by one
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
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from trawl.errors import ModelError
from trawl.types import MODALITIES, Modality, Space

CARD = "card.toml"
INSTALLED = "installed.json"
"""Written last into a downloaded model's folder. Without it the model counts as missing."""

MODULAR = frozenset({"omni"})
"""Families whose towers are downloaded one by one. The text tower is always needed."""

REINSTALL = "install the model again"

RERANKING = "cross-encoder"
"""The family of rerankers, which score pairs of texts and make no vectors."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Tower:
    """One encoder of a model: the SHA-256 of each file, and the options of the card's table.

    `batch` is the number of documents' items per call; None for the default. The SHA-256 of a
    file that is not downloaded is "", and `advice` says how to download it.
    """

    modality: Modality
    directory: Path
    files: Mapping[str, str]
    options: Mapping[str, Any]
    batch: int | None = None
    advice: str = REINSTALL

    def path(self, name: str) -> Path:
        """Return the path of a file after verifying its SHA-256. Raises `ModelError`."""
        path = self.directory / name
        if not self.files[name]:
            raise ModelError(
                f"the {self.modality} tower of the model in {self.directory} is not downloaded; "
                f"{self.advice}"
            )
        try:
            digest = sha256_of(path)
        except OSError as error:
            raise ModelError(
                f"the model file {path} cannot be read ({error.strerror}); {self.advice}"
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
    """A model that may not be downloaded yet. `files` maps towers' files to SHA-256 or "".

    `towers` has the files of each tower, `sizes_mb` their sizes, if its towers are downloaded one
    by one.
    """

    name: str
    family: str
    licence: str
    dimension: int
    modalities: tuple[Modality, ...]
    source: Source | None
    published: Mapping[str, float]
    files: Mapping[str, str]
    directory: Path
    towers: Mapping[Modality, Mapping[str, str]] = field(default_factory=dict)
    sizes_mb: Mapping[Modality, float] = field(default_factory=dict)

    @property
    def is_here(self) -> bool:
        """Whether it can be loaded: it is in the package or downloaded, its text tower at least."""
        return self.source is None or (self.directory / INSTALLED).is_file()

    @property
    def is_modular(self) -> bool:
        """Whether its towers are downloaded one by one."""
        return self.source is not None and self.family in MODULAR

    def here(self) -> tuple[Modality, ...]:
        """Return the modalities whose towers can be loaded."""
        if not self.is_here or not self.is_modular:
            return self.modalities if self.is_here else ()
        try:
            present, _ = recorded(self.directory)
        except ModelError:
            return ()
        return tuple(m for m in self.modalities if self.towers[m].keys() <= present.keys())

    def only(self, modalities: Collection[str]) -> Listing:
        """Return the listing of some towers and the text tower. Raises `ModelError`."""
        if not self.is_modular:
            raise ModelError(
                f"the model {self.name} is downloaded as a whole; omit the names of towers"
            )
        if foreign := sorted(set(modalities) - set(self.modalities)):
            raise ModelError(
                f"the model {self.name} has no {', '.join(foreign)} tower; "
                f"it has: {', '.join(self.modalities)}"
            )
        kept = {"text", *modalities}
        files = {
            n: digest for m in self.towers if m in kept for n, digest in self.towers[m].items()
        }
        return replace(self, files=files)


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
    directory, downloaded, commit = path.parent, dict[str, str](), ""
    if "source" in raw:
        if models is None:
            raise ModelError(f"the model {raw['name']} has to be downloaded into a models folder")
        directory = models / raw["name"]
        downloaded, commit = _installed(directory, raw)
    is_modular = "source" in raw and raw["family"] in MODULAR
    towers: dict[Modality, Tower] = {
        modality: Tower(
            modality=modality,
            directory=directory,
            files={
                file: digest or (downloaded.get(file, "") if is_modular else downloaded[file])
                for file, digest in raw[modality]["files"].items()
            },
            options={key: value for key, value in raw[modality].items() if key not in _UNCOUNTED},
            batch=_batch(raw[modality]),
            advice=_advice(raw, modality) if is_modular else REINSTALL,
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
    parts = int(table.get("parts", 1))
    fingerprint = (
        _modular_fingerprint(raw, towers, commit)
        if is_modular
        else _fingerprint(raw["preprocessing"], towers)
    )
    space = Space(
        name=table["name"],
        dimension=int(table["dimension"]),
        fingerprint=f"{fingerprint}-{parts}" if parts > 1 else fingerprint,
        parts=parts,
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
        towers={modality: raw[modality]["files"] for modality in present},
        sizes_mb={m: float(raw[m]["size_mb"]) for m in present if "size_mb" in raw[m]},
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


_UNCOUNTED = ("files", "batch", "size_mb")
"""Keys of a tower's table that are not options of its family."""


def _advice(raw: Mapping[str, Any], modality: Modality) -> str:
    size_mb, name = float(raw[modality].get("size_mb", 0)), raw["name"]
    size = f" ({size_mb:,.0f} MB)" if size_mb else ""
    return f"download it{size} with `trawl models pull {name} --tower {modality}`"


def recorded(directory: Path) -> tuple[dict[str, str], str]:
    """Return the SHA-256 of each downloaded file, and the commit. Raises `ModelError`."""
    file = directory / INSTALLED
    try:
        record = json.loads(file.read_text("utf-8"))
        return dict(record["files"]), str(record.get("commit", ""))
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{file} cannot be read ({error}); repair it with `trawl models pull {directory.name}`"
        ) from error


def _installed(directory: Path, raw: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """Return what `recorded` returns. Raises `ModelError` if there are no files."""
    files, commit = recorded(directory)
    if not files:
        name, size_mb = raw["name"], float(raw["source"]["size_mb"])
        some = " (or some of its towers with --tower)" if raw["family"] in MODULAR else ""
        raise ModelError(
            f"the model {name} is not in {directory.parent}; "
            f"download it ({size_mb:,.0f} MB) with `trawl models pull {name}`{some}"
        )
    return files, commit


def _modular_fingerprint(
    raw: Mapping[str, Any], towers: Mapping[Modality, Tower], commit: str
) -> str:
    """Return the same fingerprint whichever towers are downloaded, all of one commit."""
    known = {
        modality: tower if modality == "text" else replace(tower, files=raw[modality]["files"])
        for modality, tower in towers.items()
    }
    return hashlib.sha256(
        f"{_fingerprint(raw['preprocessing'], known)} {commit}".encode()
    ).hexdigest()[:16]


def _fingerprint(preprocessing: int, towers: Mapping[Modality, Tower]) -> str:
    """Hash everything that determines the vector of an item."""
    parts = [f"preprocessing {preprocessing}"]
    for modality, tower in sorted(towers.items()):
        parts += [modality, repr(sorted(tower.options.items()))]
        parts += [f"{name} {digest}" for name, digest in sorted(tower.files.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
