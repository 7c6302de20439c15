"""What a library is, as its directory says: made, read, and held against the models there are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trawl.encoders import Model, canonical_profile, load_profile
from trawl.errors import LibraryError, LibraryMissingError, SpaceMismatchError
from trawl.store import Store, WriteLock
from trawl.types import Space

_IDENTITY = "library.json"
_FORMAT = 1
_DEFAULT_PROFILE = "mini"


def exists(path: Path) -> bool:
    """Tell whether there is a library at `path`."""
    return (path / _IDENTITY).exists()


def sources_of(models: Iterable[Model]) -> dict[str, Space]:
    """Give the sources of some models by name, with their spaces."""
    return {model.source(modality): model.space for model in models for modality in model.encoders}


def create(path: Path, profile: str | None, model_dir: Path | None = None) -> None:
    """Make an empty library. Its identity is written last: without it there is none.

    `model_dir` is where downloaded models lie.
    """
    profile = canonical_profile(profile or _DEFAULT_PROFILE)
    models = load_profile(profile, model_dir)
    try:
        path.mkdir(parents=True, exist_ok=True)
        foreign = [name for name in sorted(os.listdir(path)) if not _is_ours(name)]
        if foreign:
            raise LibraryError(
                f"{path} holds other things ({', '.join(foreign[:3])}); a library wants a "
                "folder of its own, so name one that is new or empty"
            )
        with WriteLock(path):
            if exists(path):
                return
            Store.create(path, sources_of(models))
            identity = {
                "format": _FORMAT,
                "profile": profile,
                "spaces": [asdict(model.space) for model in models],
            }
            temporary = path / f".{_IDENTITY}.new"
            temporary.write_text(json.dumps(identity, indent=2) + "\n", "utf-8")
            temporary.replace(path / _IDENTITY)
    except OSError as error:
        raise LibraryError(f"no library can be made at {path}: {error.strerror}") from error


def _is_ours(name: str) -> bool:
    return name.startswith(".") or name.endswith(".lance") or name in (_IDENTITY, "trawl.toml")


def read(path: Path) -> dict[str, Any]:
    """Give what the library says of itself. Raises `LibraryMissingError`, `LibraryError`."""
    file = path / _IDENTITY
    try:
        identity = json.loads(file.read_text("utf-8"))
        known = identity["format"] == _FORMAT
        _ = identity["profile"], [space["fingerprint"] for space in identity["spaces"]]
    except (FileNotFoundError, NotADirectoryError):
        raise LibraryMissingError(
            f"no library at {path}; make one with `trawl init --library {path}`, "
            "or name another with --library"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LibraryError(f"{file} cannot be read: {error}; is it a library?") from error
    if not known:
        raise LibraryError(
            f"the library at {path} has format {identity['format']}, this version of Trawl "
            f"reads format {_FORMAT}; use the version that made it"
        )
    return dict(identity)


def matching_models(
    path: Path, identity: Mapping[str, Any], wanted: str | None, model_dir: Path | None = None
) -> list[Model]:
    """Give the models that the library was made with. Raises `SpaceMismatchError`."""
    made_with = identity["profile"]
    if wanted is not None and canonical_profile(wanted) != made_with:
        raise SpaceMismatchError(
            f"the library at {path} was made with the models of {made_with!r}, and "
            f"{wanted!r} was asked for; leave the profile out, or make another library"
        )
    models = load_profile(made_with, model_dir)
    recorded = [space["fingerprint"] for space in identity["spaces"]]
    if recorded != [model.space.fingerprint for model in models]:
        raise SpaceMismatchError(
            f"the library at {path} was made with another version of the models of "
            f"{made_with!r}; make a new library and add the files to it"
        )
    return models
