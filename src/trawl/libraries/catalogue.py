"""Names for libraries: from a catalogue, a TOML file, or from their addresses."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trawl.errors import SettingsError, UsageError
from trawl.locations import is_remote

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_OTHER = re.compile(r"[^A-Za-z0-9_.-]+")
_KEYS = ("address", "key_env")
_MOST = 100
_EXAMPLE = '[libraries]\npapers = "/data/papers"'


@dataclass(frozen=True, slots=True)
class Entry:
    """A library of several: a directory, an address in an object store, or a server's URL.

    `key_env` names the environment variable that has the server's API key.
    """

    address: str
    key_env: str | None = None

    @property
    def is_server(self) -> bool:
        """Whether the library is behind a server."""
        return is_server(self.address)


def is_server(address: str) -> bool:
    """Return whether an address is that of a server."""
    return address.startswith(("http://", "https://"))


def is_catalogue(address: str) -> bool:
    """Return whether an address is that of a catalogue, a TOML file."""
    return address.endswith(".toml") and not is_server(address) and not Path(address).is_dir()


def is_several(addresses: Sequence[str]) -> bool:
    """Return whether addresses stand for several libraries."""
    return len(addresses) != 1 or is_catalogue(addresses[0])


def entries_of(addresses: Sequence[str]) -> dict[str, Entry]:
    """Return the libraries at some addresses by name; a catalogue stands for all it names.

    Other libraries are named by the last part of their address. `TRAWL_API_KEY` is sent to the
    servers among `addresses`, and to those of a catalogue only if it says so. Raises `UsageError`
    if there is no library or one is named twice, and `SettingsError` for an invalid catalogue.
    """
    found: dict[str, Entry] = {}
    for address in addresses:
        if is_catalogue(address):
            for name, entry in read_catalogue(Path(address)).items():
                if name in found:
                    raise UsageError(f"two libraries are named {name!r}; rename one in {address}")
                found[name] = entry
        else:
            key_env = "TRAWL_API_KEY" if is_server(address) else None
            found[_free_name(address, found)] = Entry(address, key_env)
    _check(found)
    return found


def _check(entries: Mapping[str, Entry]) -> None:
    if not entries:
        raise UsageError("no library is named; give at least one address or a catalogue")
    if len(entries) > _MOST:
        raise UsageError(f"{len(entries)} libraries are too many; at most {_MOST} are searched")
    places: dict[str, str] = {}
    for name, entry in entries.items():
        place = entry.address.rstrip("/")
        if not (entry.is_server or is_remote(entry.address)):
            place = os.path.realpath(entry.address)
        if place in places:
            raise UsageError(
                f"{entry.address} is given twice ({places[place]} and {name}); "
                "its results would count twice"
            )
        places[place] = name


def read_catalogue(path: Path) -> dict[str, Entry]:
    """Read a catalogue. Relative directories start at its folder.

    Raises `SettingsError`, which names the file and the entry, if it cannot be used.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"cannot read the catalogue {path}: {reason}") from error
    unknown = sorted(content.keys() - {"libraries"})
    if unknown:
        raise SettingsError(f"{path}: unknown table {unknown[0]!r}; a catalogue has [libraries]")
    libraries = content.get("libraries")
    if not isinstance(libraries, dict) or not libraries:
        raise SettingsError(f"{path} names no library; write, for example:\n{_EXAMPLE}")
    return {name: _entry(path, name, value) for name, value in libraries.items()}


def _entry(path: Path, name: str, value: Any) -> Entry:
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{path}: {name!r} is no name for a library; use up to 64 letters, digits, "
            "'.', '_' and '-', the first a letter or a digit"
        )
    fields = {"address": value} if isinstance(value, str) else value
    if not isinstance(fields, dict) or not isinstance(fields.get("address"), str):
        raise SettingsError(
            f"{path}: {name} needs an address: a directory, s3://…, gs://…, az://… or a server's "
            "URL"
        )
    unknown = sorted(fields.keys() - set(_KEYS))
    if unknown:
        raise SettingsError(
            f"{path}: {name} has an unknown key {unknown[0]!r}; keys are: {', '.join(_KEYS)}"
        )
    address, key_env = fields["address"], fields.get("key_env")
    if not address or is_catalogue(address):
        raise SettingsError(f"{path}: {name} must be a library, not {address!r}")
    if key_env is not None and not isinstance(key_env, str):
        raise SettingsError(f"{path}: key_env of {name} must name an environment variable")
    if not is_server(address) and not is_remote(address):
        address = str(path.parent / Path(address).expanduser())
    return Entry(address, key_env)


def _free_name(address: str, taken: Mapping[str, Entry]) -> str:
    """Return a name for an address that no other library has."""
    if is_server(address):
        base = urlsplit(address).netloc.rpartition("@")[2]
    else:
        base = os.path.basename(
            address.rstrip("/") if is_remote(address) else os.path.abspath(address)
        )
    name = _OTHER.sub("-", base).strip("-._")[:50] or "library"
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found
