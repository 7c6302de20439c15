"""A library's identity: its profile and embedding spaces, recorded in `library.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trawl.encoders import Encoder, Model, canonical_profile, load_profile
from trawl.errors import LibraryError, LibraryMissingError, SpaceMismatchError
from trawl.ingest import RECIPE_VERSION, ChunkingOptions, IngestOptions
from trawl.library import skipped
from trawl.readers import Limits
from trawl.readers.ocr import load_engine
from trawl.readers.speech import check_speech_model
from trawl.settings import Settings
from trawl.store import Store, WriteLock
from trawl.types import Modality, Space

_IDENTITY = "library.json"
_FORMAT = 3
_DEFAULT_PROFILE = "mini"


def open_models(path: Path, settings: Settings, *, create: bool) -> list[Model]:
    """Load the models that the library was created with; with `create`, create it if missing.

    Raises `LibraryMissingError`, `LibraryError`, and `SpaceMismatchError` if the settings
    name another profile, or if the installed models have other fingerprints.
    """
    if create and not (path / _IDENTITY).exists():
        _create(path, settings)
    identity = _read(path)
    profile = identity["profile"]
    wanted = settings.profile
    if wanted is not None and canonical_profile(wanted) != profile:
        raise SpaceMismatchError(
            f"the library at {path} uses profile {profile!r}, not {wanted!r}; "
            "omit the profile, or create another library"
        )
    models = load_profile(profile, settings.model_dir)
    recorded = [space["fingerprint"] for space in identity["spaces"]]
    if recorded != [model.space.fingerprint for model in models]:
        raise SpaceMismatchError(
            f"the library at {path} was created with another version of the {profile!r} "
            "models; create a new library and add the files to it"
        )
    return models


def _check_encoding(path: Path) -> None:
    try:
        str(path.absolute()).encode("utf-8")
    except UnicodeEncodeError as error:
        raise LibraryError(
            f"cannot create a library at {path}: the path is not valid UTF-8; choose another"
        ) from error


def _create(path: Path, settings: Settings) -> None:
    _check_encoding(path)
    profile = canonical_profile(settings.profile or _DEFAULT_PROFILE)
    models = load_profile(profile, settings.model_dir)
    try:
        path.mkdir(parents=True, exist_ok=True)
        foreign = [name for name in sorted(os.listdir(path)) if not _is_ours(name)]
        if foreign:
            raise LibraryError(
                f"{path} holds other files ({', '.join(foreign[:3])}); "
                "choose a new or empty directory"
            )
        with WriteLock(path):
            if (path / _IDENTITY).exists():
                return
            Store.create(path, sources_of(models))
            identity = {
                "format": _FORMAT,
                "profile": profile,
                "spaces": [asdict(model.space) for model in models],
            }
            # Written last: a directory without it is not a library.
            temporary = path / f".{_IDENTITY}.new"
            temporary.write_text(json.dumps(identity, indent=2) + "\n", "utf-8")
            temporary.replace(path / _IDENTITY)
    except OSError as error:
        raise LibraryError(f"cannot create a library at {path}: {error.strerror}") from error


def _is_ours(name: str) -> bool:
    return (
        name.startswith(".")
        or name.endswith(".lance")
        or name in (_IDENTITY, "trawl.toml", skipped.FILE)
    )


def _read(path: Path) -> dict[str, Any]:
    file = path / _IDENTITY
    try:
        identity = json.loads(file.read_text("utf-8"))
        is_known = identity["format"] == _FORMAT
        _ = identity["profile"], [space["fingerprint"] for space in identity["spaces"]]
    except (FileNotFoundError, NotADirectoryError):
        raise LibraryMissingError(
            f"no library at {path}; create one with `trawl init --library {path}`, "
            "or name another with --library"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LibraryError(f"cannot read {file}: {error}; is it a library?") from error
    if not is_known:
        raise LibraryError(
            f"the library at {path} has format {identity['format']}; this version of Trawl "
            f"reads format {_FORMAT}. Create a new library and add the files to it, or open "
            "this one with the version that created it"
        )
    return dict(identity)


def sources_of(models: Iterable[Model]) -> dict[str, Space]:
    """Return the space of each source, by the source's name."""
    return {model.source(modality): model.space for model in models for modality in model.encoders}


def encoders_of(models: Iterable[Model]) -> Mapping[Modality, list[tuple[str, Encoder]]]:
    """Return the encoders of each modality, each with the name of its source."""
    encoders: dict[Modality, list[tuple[str, Encoder]]] = {}
    for model in models:
        for modality, encoder in model.encoders.items():
            encoders.setdefault(modality, []).append((model.source(modality), encoder))
    return encoders


def ingest_options(settings: Settings, models: Sequence[Model]) -> IngestOptions:
    """Return the chunking options and the recipe, which determines the content hashes.

    Raises `SettingsError` if an engine is not installed.
    """
    chunking = ChunkingOptions(
        chunk_tokens=settings.chunk_tokens,
        chunk_overlap_tokens=settings.chunk_overlap_tokens,
        window_s=settings.window_s,
        hop_s=settings.hop_s,
    )
    recipe = {
        "version": RECIPE_VERSION,
        "spaces": [model.space.fingerprint for model in models],
        **asdict(chunking),
    }
    load_engine(settings.ocr, settings.ocr_languages)  # raises if it is not available
    if settings.speech_model:
        check_speech_model(settings.speech_model)
    limits = Limits(
        max_pixels=settings.max_pixels,
        ocr=settings.ocr,
        ocr_languages=settings.ocr_languages,
        speech_model=settings.speech_model or "",
    )
    return IngestOptions(chunking, recipe, limits, settings.reader_workers)
