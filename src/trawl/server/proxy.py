"""Find the client and the public address of a request behind trusted proxies.

The supervisor of several processes imports this module, so it needs neither Starlette nor FastAPI.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


class Proxies:
    """Finds the address of a client behind trusted proxies."""

    def __init__(self, trusted: list[str]) -> None:
        self._trusted = [ip_network(network, strict=False) for network in trusted]

    def trusts(self, peer: str) -> bool:
        """Return whether an address is one of the trusted proxies."""
        address = _address(peer)
        return address is not None and any(address in network for network in self._trusted)

    def client(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address: the last one in the chain that is not a trusted proxy.

        Addresses further left in `X-Forwarded-For` could be forged by the client. An IPv6
        address is returned as its /64 network, since its holder has all of it.
        """
        chain = [peer]
        if forwarded_for:
            chain += [part.strip() for part in reversed(forwarded_for.split(","))]
        found = peer
        for step in chain:
            if _address(step) is None:
                break
            found = step
            if not self.trusts(step):
                break
        address = _address(found)
        if isinstance(address, IPv6Address):
            return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
        return found


class Forwarding:
    """Sets the scheme, host and path prefix that the client of a trusted proxy used.

    Reads `X-Forwarded-Proto`, `X-Forwarded-Host` and `X-Forwarded-Prefix`. `root_path` is the
    prefix of requests without the last. Proxies may remove the prefix from the path or keep it.
    """

    def __init__(self, app: ASGIApp, *, proxies: Proxies, root_path: str) -> None:
        self._app = app
        self._proxies = proxies
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            prefix = self._root_path or str(scope.get("root_path", "")).rstrip("/")
            if scope.get("client") and self._proxies.trusts(scope["client"][0]):
                prefix = _forwarded(scope, prefix)
            path = str(scope["path"])
            if prefix and path != prefix and not path.startswith(prefix + "/"):
                scope["path"] = prefix + path
            scope["root_path"] = prefix
        await self._app(scope, receive, send)


def _forwarded(scope: Scope, prefix: str) -> str:
    """Apply a proxy's headers to `scope`, and return the path prefix. Ignores invalid values."""
    for scheme in _first(scope, b"x-forwarded-proto"):
        if scheme.lower() in (b"http", b"https"):
            scope["scheme"] = scheme.lower().decode("latin-1")
    for host in _first(scope, b"x-forwarded-host"):
        if _HOST.fullmatch(host):
            others = [field for field in scope["headers"] if field[0] != b"host"]
            scope["headers"] = [(b"host", host), *others]
    for found in _first(scope, b"x-forwarded-prefix"):
        text = found.decode("latin-1").rstrip("/")
        if not text or _PREFIX.fullmatch(text):
            return text
    return prefix


def _first(scope: Scope, name: bytes) -> Iterator[bytes]:
    """Yield the first value of a header, if there is one: the client's side of a chain."""
    for key, value in scope["headers"]:
        if key == name:
            yield value.partition(b",")[0].strip()
            return


def route_path(scope: Scope) -> str:
    """Return the path of a request without the prefix that `Forwarding` set."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    is_below = bool(prefix) and (path == prefix or path.startswith(prefix + "/"))
    return path[len(prefix) :] or "/" if is_below else path


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach or have an address."""
    address = _address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback if address is not None else host == "localhost"


@lru_cache(maxsize=4_096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
