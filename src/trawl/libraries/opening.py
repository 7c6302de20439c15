"""Open one library of several: a directory, an address in an object store, or a server's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trawl.errors import SettingsError
from trawl.libraries.catalogue import Entry
from trawl.library.interface import SearchLibrary

if TYPE_CHECKING:
    from trawl.client.remote_library import RemoteLibrary


def open_source(entry: Entry, settings: Mapping[str, Any], timeout_s: float) -> SearchLibrary:
    """Open a library. Raises what opening it raises, and `SettingsError` for a missing key."""
    if not entry.is_server:
        from trawl.library import Library

        return Library(entry.address, **settings)
    key = None
    if entry.key_env is not None:
        key = os.environ.get(entry.key_env)
        if key is None and entry.key_env != "TRAWL_API_KEY":
            raise SettingsError(f"the environment variable {entry.key_env} is not set")
    # A busy server is asked again within the time, but a dead one does not hold a thread.
    return open_server(entry.address, key, timeout_s=max(timeout_s, 30.0))


def open_server(address: str, key: str | None, timeout_s: float = 30.0) -> RemoteLibrary:
    """Return the library behind a server. Raises `SettingsError` if the client is missing."""
    try:
        from trawl.client import Client
        from trawl.client.remote_library import RemoteLibrary
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"a server's library requires {error.name}; install it with: "
            "pip install 'trawl-multimodal[client]'"
        ) from error
    return RemoteLibrary(Client(address, key=key, timeout_s=timeout_s))
