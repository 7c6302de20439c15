"""Authenticate clients by API key, and identify the others by address.

A key is 32 random bytes, so its SHA-256 can be stored without salt or stretching.
`python -m trawl.server.auth NAME` makes one.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, get_args

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from trawl.settings import ApiKey

Scope: TypeAlias = Literal["read", "write", "admin"]

_PREFIX = "trawl_"


@dataclass(frozen=True, slots=True)
class Client:
    """A client: the name of its key or its address, and its scopes (None for all)."""

    name: str
    scopes: frozenset[Scope] | None


class Keyring:
    """The API keys of the server. Without keys, every client has every scope."""

    def __init__(self, keys: Mapping[str, ApiKey]) -> None:
        self._keys = dict(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def holder(self, presented: str) -> tuple[str, frozenset[Scope]] | None:
        """Return the name and the scopes of a key, or None if it is invalid.

        Every key is compared, each in constant time, so the duration reveals nothing.
        """
        digest = hash_key(presented)
        found = None
        for name, key in self._keys.items():
            if hmac.compare_digest(key.sha256, digest):
                found = name, key.scopes
        return found


def presented_key(authorization: str, x_api_key: str) -> str | None:
    """Return the key of a request: `Authorization: Bearer KEY`, or `X-API-Key: KEY`."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return x_api_key.strip() or None


def hash_key(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def new_key() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="Key",
    description="Required if the server has API keys. `X-API-Key: KEY` works too.",
)


def has_scope(request: Request, scope: Scope) -> bool:
    """Return whether the client of a request has a scope."""
    client: Client = request.scope["state"]["client"]
    return client.scopes is None or scope in client.scopes or "admin" in client.scopes


class _Requires:
    """Admits clients with a scope. Raises 401 and 403."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __call__(self, request: Request, _: Annotated[object, Security(_bearer)]) -> None:
        if has_scope(request, self._scope):
            return
        client: Client = request.scope["state"]["client"]
        if not client.scopes:
            raise HTTPException(
                401,
                "this server requires an API key; send it as `Authorization: Bearer KEY`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        raise HTTPException(403, f"the key of {client.name!r} does not have scope {self._scope!r}")


reads = Depends(_Requires("read"))
writes = Depends(_Requires("write"))
administers = Depends(_Requires("admin"))


def main() -> None:
    """Print a new key, and the lines of `trawl.toml` that accept it."""
    parser = argparse.ArgumentParser(prog="python -m trawl.server.auth", description=main.__doc__)
    parser.add_argument("name", help="the holder of the key")
    parser.add_argument("--scope", action="append", choices=get_args(Scope), default=[])
    given = parser.parse_args()
    key = new_key()
    scopes = ", ".join(f'"{scope}"' for scope in given.scope or ["read"])
    print(f"# {given.name}'s key, shown once: {key}")
    print(f'[api_keys."{given.name}"]\nsha256 = "{hash_key(key)}"\nscopes = [{scopes}]')


if __name__ == "__main__":
    main()
