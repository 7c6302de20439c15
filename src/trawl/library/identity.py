"""A library's identity: its profile and embedding spaces, recorded in `library.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from trawl.encoders import (
    Encoder,
    Model,
    canonical_profile,
    check_complete,
    completed,
    load_profile,
    own_models,
    profile_of_spaces,
)
from trawl.errors import LibraryError, LibraryMissingError, SpaceMismatchError, UsageError
from trawl.ingest import RECIPE_VERSION, ChunkingOptions, IngestOptions
from trawl.library import skipped
from trawl.locations import Location, prove_exclusive
from trawl.readers import Limits
from trawl.readers.ocr import load_engine
from trawl.readers.speech import check_speech_model
from trawl.settings import Settings
from trawl.store import Store, write_lock
from trawl.types import Modality, Space

_IDENTITY = "library.json"
_FORMAT = 3
_DEFAULT_PROFILE = "mini"


def open_models(
    location: Location, settings: Settings, encoders: Sequence[Encoder] = (), *, create: bool
) -> list[Model]:
    """Load the models that the library was created with; with `create`, create it if missing.

    `encoders` are those of the caller's own. Raises `LibraryMissingError`, `LibraryError`,
    `UsageError` for an invalid encoder, and `SpaceMismatchError` if the settings name another
    profile, or if the installed models or the encoders have other fingerprints.
    """
    given = own_models(encoders)
    if create and not location.exists(_IDENTITY):
        _create(location, settings, given)
    identity = _read(location)
    own = _own_of(location, identity, given)
    profile = identity["profile"]
    wanted = settings.profile
    if wanted is not None and canonical_profile(wanted, own) != profile:
        raise SpaceMismatchError(
            f"the library at {location} uses profile {profile!r}, not {wanted!r}; "
            "omit the profile, or create another library"
        )
    dimension = identity.get("dimension")
    spaces = [str(space["name"]) for space in identity["spaces"]]
    names = profile_of_spaces(profile, spaces)
    models = load_profile(names, settings.model_dir, dimension, own)
    _check_dimension(location, settings.dimension, models)
    recorded = [space["fingerprint"] for space in identity["spaces"]]
    if recorded != [model.space.fingerprint for model in models]:
        raise SpaceMismatchError(
            f"the library at {location} was created with another version of the {profile!r} "
            "models; create a new library and add the files to it"
        )
    return models


def _own_of(
    location: Location, identity: Mapping[str, Any], given: Mapping[str, Model]
) -> dict[str, Model]:
    """Return the library's own models, whose encoders may be missing.

    Raises `SpaceMismatchError` if one is given that the library was not created with.
    """
    spaces = {space["name"]: Space(**space) for space in identity["spaces"]}
    recorded: Mapping[str, list[Modality]] = identity.get("encoders", {})
    for name, model in given.items():
        if name not in recorded or not set(recorded[name]) >= model.encoders.keys():
            raise SpaceMismatchError(
                f"the library at {location} was created without the "
                f"{' and '.join(model.encoders)} encoder {name!r}; its models are "
                f"{', '.join(spaces)}. Omit the encoder, or create another library"
            )
        had, has = spaces[name], model.space
        if had != has:
            raise SpaceMismatchError(
                f"the library at {location} was created with another encoder {name!r}, of "
                f"{had.dimension} dimensions and fingerprint {had.fingerprint!r}; this one has "
                f"{has.dimension} and {has.fingerprint!r}. Open it with the earlier encoder, or "
                "create a new library and add the files to it"
            )
    return {
        name: completed(given.get(name), spaces[name], modalities)
        for name, modalities in recorded.items()
    }


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


def _create(location: Location, settings: Settings, own: Mapping[str, Model]) -> None:
    _check_encoding(location)
    profile = canonical_profile(settings.profile or ",".join(own) or _DEFAULT_PROFILE, own)
    models = load_profile(profile, settings.model_dir, settings.dimension, own)
    _check_own(profile, models, own)
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
            if own:
                identity["encoders"] = {name: list(own[name].encoders) for name in own}
            if settings.dimension is not None:
                identity["dimension"] = settings.dimension
            # Written last: a place without it is not a library.
            location.write(_IDENTITY, f"{json.dumps(identity, indent=2)}\n".encode())
    except OSError as error:
        reason = error.strerror or error
        raise LibraryError(f"cannot create a library at {location}: {reason}") from error


def _check_own(profile: str, models: Sequence[Model], own: Mapping[str, Model]) -> None:
    """Raise `UsageError` if the profile lacks one of the encoders, or cannot split texts."""
    for name in own:
        if name not in [model.space.name for model in models]:
            raise UsageError(
                f"the profile {profile!r} does not name the encoder {name}; name all models of the "
                f"library, such as {f'{name},{models[0].card.name}'!r}, or omit the profile"
            )
    if own and "text" not in models[0].encoders:
        raise UsageError(
            f"the first model of a library splits its texts, and {models[0].card.name} embeds "
            f"none; name another one first, such as {f'mini,{profile}'!r}"
        )


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
    return {model.source(modality): model.space for model in models for modality in model.indexed}


def ingest_options(settings: Settings, models: Sequence[Model]) -> IngestOptions:
    """Return the chunking options and the recipe, which determines the content hashes.

    Raises `SettingsError` if an engine is not installed, and `ModelError` if an encoder of the
    library's own is not given.
    """
    check_complete(models)
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
        pages=any(model.space.parts > 1 for model in models),
    )
    return IngestOptions(chunking, recipe, limits, settings.reader_workers)
