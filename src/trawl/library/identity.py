"""A library's identity: its profile and embedding spaces, recorded in `library.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from trawl.encoders import Model, canonical_profile, load_profile, profile_of_spaces
from trawl.errors import LibraryError, LibraryMissingError, SpaceMismatchError
from trawl.ingest import RECIPE_VERSION, ChunkingOptions, IngestOptions
from trawl.library import skipped
from trawl.locations import Location, prove_exclusive
from trawl.readers import Limits
from trawl.readers.ocr import load_engine
from trawl.readers.speech import check_speech_model
from trawl.settings import Settings
from trawl.store import Store, write_lock
from trawl.types import Space

_IDENTITY = "library.json"
_FORMAT = 3
_DEFAULT_PROFILE = "mini"


def open_models(location: Location, settings: Settings, *, create: bool) -> list[Model]:
    """Load the models that the library was created with; with `create`, create it if missing.

    Raises `LibraryMissingError`, `LibraryError`, and `SpaceMismatchError` if the settings
    name another profile, or if the installed models have other fingerprints.
    """
    if create and not location.exists(_IDENTITY):
        _create(location, settings)
    identity = _read(location)
    profile = identity["profile"]
    wanted = settings.profile
    if wanted is not None and canonical_profile(wanted) != profile:
        raise SpaceMismatchError(
            f"the library at {location} uses profile {profile!r}, not {wanted!r}; "
            "omit the profile, or create another library"
        )
    dimension = identity.get("dimension")
    spaces = [str(space["name"]) for space in identity["spaces"]]
    names = profile_of_spaces(profile, spaces)
    models = load_profile(names, settings.model_dir, dimension)
    _check_dimension(location, settings.dimension, models)
    recorded = [space["fingerprint"] for space in identity["spaces"]]
    if recorded != [model.space.fingerprint for model in models]:
        raise SpaceMismatchError(
            f"the library at {location} was created with another version of the {profile!r} "
            "models; create a new library and add the files to it"
        )
    return models


def _check_dimension(location: Location, wanted: int | None, models: Sequence[Model]) -> None:
    """Raise `SpaceMismatchError` if the settings name another dimension than the library's."""
    offered = [model.space.dimension for model in models if model.card.dimensions]
    if wanted is not None and wanted not in (offered or [m.space.dimension for m in models]):
        had = ", ".join(f"{m.space.name} with {m.space.dimension}" for m in models)
        raise SpaceMismatchError(
            f"the library at {location} has vectors of {had} dimensions, not {wanted}; "
            "omit the dimension, or create another library"
        )


def _check_encoding(location: Location) -> None:
    try:
        location.full_address.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LibraryError(
            f"cannot create a library at {location}: the path is not valid UTF-8; choose another"
        ) from error


def _create(location: Location, settings: Settings) -> None:
    _check_encoding(location)
    profile = canonical_profile(settings.profile or _DEFAULT_PROFILE)
    models = load_profile(profile, settings.model_dir, settings.dimension)
    try:
        foreign = [name for name in sorted(location.names()) if not _is_ours(name)]
        if foreign:
            raise LibraryError(
                f"{location} holds other files ({', '.join(foreign[:3])}); "
                f"choose a new or empty {'prefix' if location.path is None else 'directory'}"
            )
        if location.path is None:
            prove_exclusive(location)
        else:
            location.path.mkdir(parents=True, exist_ok=True)
        with write_lock(location):
            if location.exists(_IDENTITY):
                return
            Store.create(location, sources_of(models))
            identity = {
                "format": _FORMAT,
                "profile": profile,
                "spaces": [asdict(model.space) for model in models],
            }
            if settings.dimension is not None:
                identity["dimension"] = settings.dimension
            # Written last: a place without it is not a library.
            location.write(_IDENTITY, f"{json.dumps(identity, indent=2)}\n".encode())
    except OSError as error:
        reason = error.strerror or error
        raise LibraryError(f"cannot create a library at {location}: {reason}") from error


def _is_ours(name: str) -> bool:
    return (
        name.startswith(".")
        or name.endswith(".lance")
        or name in (_IDENTITY, "trawl.toml", skipped.FILE)
    )


def _read(location: Location) -> dict[str, Any]:
    try:
        identity = json.loads(location.read(_IDENTITY))
        is_known = identity["format"] == _FORMAT
        _ = identity["profile"], [space["fingerprint"] for space in identity["spaces"]]
    except (FileNotFoundError, NotADirectoryError):
        raise LibraryMissingError(
            f"no library at {location}; create one with `trawl init --library {location}`, "
            "or name another with --library"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LibraryError(
            f"cannot read {location}/{_IDENTITY}: {error}; is it a library?"
        ) from error
    if not is_known:
        raise LibraryError(
            f"the library at {location} has format {identity['format']}; this version of Trawl "
            f"reads format {_FORMAT}. Create a new library and add the files to it, or open "
            "this one with the version that created it"
        )
    return dict(identity)


def sources_of(models: Iterable[Model]) -> dict[str, Space]:
    """Return the space of each source, by the source's name."""
    return {model.source(modality): model.space for model in models for modality in model.encoders}


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
