"""Refusals before the work: under overload a new question is refused without being read.

To find the route, check the parameters and look for an answer that is kept costs more than all
the rest of a refusal, and that is time which those who were let in want.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from cachetools import LRUCache
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trawl.errors import OverloadedError
from trawl.server.problems import problem_of

_ANSWERED_AT_MOST = 1_000


@dataclass(frozen=True, slots=True)
class _Route:
    """What the router would have found, for those who count requests by their routes."""

    path: str


class Shed:
    """Refuses questions (GET) at some paths while there is no room for more of them.

    `overload` gives the error that a new question would end in now, if any. A question that was
    answered before, letter by letter, goes on: its answer may be kept.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        paths: Collection[str],
        overload: Callable[[], OverloadedError | None],
        rejected: Callable[[str], None],
    ) -> None:
        self._app = app
        self._paths = frozenset(paths)
        self._overload = overload
        self._rejected = rejected
        self._answered: LRUCache[tuple[str, bytes], None] = LRUCache(_ANSWERED_AT_MOST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        asked = (str(scope["path"]), bytes(scope["query_string"]))
        error = self._overload() if asked not in self._answered else None
        if error is not None:
            self._rejected(error.reason)
            scope["route"] = _Route(asked[0])
            await problem_of(error, scope)(scope, receive, send)
            return

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self._answered[asked] = None
            await send(message)

        await self._app(scope, receive, send_noting)
