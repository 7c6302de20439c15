"""Parts of the server that need no library: pools, rate limits, addresses, keys, snippets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import tomllib

import pytest

from trawl import errors
from trawl.errors import OverloadedError, SettingsError
from trawl.search.snippets import snippet
from trawl.server import limits
from trawl.server.auth import Keyring, hash_key, new_key, presented_key
from trawl.server.cache import MemoryStore, ResponseCache
from trawl.server.errors import KINDS, kind_of
from trawl.server.limits import RateLimiter, Verdict, WorkPool
from trawl.server.proxy import Proxies
from trawl.settings import ApiKey, load_settings
from trawl.wire import file_name, plain_text, without_paths


async def filled(cache: ResponseCache, bodies: list[bytes]) -> None:
    for number, body in enumerate(bodies):

        async def compute(body: bytes = body) -> bytes:
            return body

        await cache.get(str(number), compute)


def test_the_cache_is_bounded_in_entries() -> None:
    cache = ResponseCache(MemoryStore(10, 2**30, 60))
    asyncio.run(filled(cache, [b"x" * 10] * 50))
    assert len(cache) == 10


def test_the_cache_is_bounded_in_bytes() -> None:
    cache = ResponseCache(MemoryStore(1_000, 500_000, 60))
    asyncio.run(filled(cache, [b"x" * 100_000] * 50))
    assert len(cache) == 5


def test_a_response_larger_than_the_cache_is_returned_and_not_cached() -> None:
    cache = ResponseCache(MemoryStore(1_000, 2**20, 60))
    asyncio.run(filled(cache, [b"x" * (2**20 + 1)]))
    assert len(cache) == 0


class PoolClock:
    """A clock for the pool, advanced by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(limits, "time", self)

    def perf_counter(self) -> float:
        return self.now

    monotonic = perf_counter

    def go_on(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("longest_wait_s", "waiting"),
    [
        # At 0.2 s each, the seventh would wait for 1.4 s.
        (1.3, 6),
        # A few may wait, however long it takes.
        (0.1, 4),
    ],
)
def test_calls_that_would_wait_too_long_are_refused(
    monkeypatch: pytest.MonkeyPatch, longest_wait_s: float, waiting: int
) -> None:
    assert asyncio.run(count_admitted(longest_wait_s, PoolClock(monkeypatch))) == waiting


@pytest.mark.parametrize(("lasting_s", "waiting"), [(0.2, 12), (0.3, 6)])
def test_a_standing_queue_has_a_shorter_longest_wait(
    monkeypatch: pytest.MonkeyPatch, lasting_s: float, waiting: int
) -> None:
    # At 0.2 s each, the thirteenth would wait for 2.6 s and the seventh for 1.4.
    assert asyncio.run(count_admitted(2.5, PoolClock(monkeypatch), lasting_s)) == waiting


async def count_admitted(longest_wait_s: float, clock: PoolClock, lasting_s: float = 0.0) -> int:
    """Return how many calls may wait for a busy thread before one is refused.

    The last call took 0.2 s; one has waited for `lasting_s` when the others arrive.
    """
    workers = WorkPool("search", 1, 64, longest_wait_s)
    await workers.run(clock.go_on, 0.2)
    gate = threading.Event()
    asked = [asyncio.create_task(workers.run(gate.wait, 20)) for _ in range(2)]
    await asyncio.sleep(0)
    clock.go_on(lasting_s)
    try:
        while True:
            asked.append(asyncio.create_task(workers.run(gate.wait, 20)))
            await asyncio.sleep(0)
            if asked[-1].done():
                with pytest.raises(OverloadedError) as refused:
                    await asked[-1]
                assert refused.value.reason == "search_queue"
                return workers.waiting
    finally:
        gate.set()
        await asyncio.gather(*asked, return_exceptions=True)
        workers.close()


def test_cancelled_calls_are_not_started() -> None:
    async def begun() -> list[int]:
        workers = WorkPool("search", 1, 8)
        gate, found = threading.Event(), list[int]()
        first = asyncio.create_task(workers.run(gate.wait, 20))
        others = [asyncio.create_task(workers.run(found.append, number)) for number in range(3)]
        await asyncio.sleep(0.05)
        others[1].cancel()
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, *others, return_exceptions=True)
        assert (workers.waiting, workers.running) == (0, 0)
        workers.close()
        return found

    assert asyncio.run(begun()) == [0, 2]


def checked(limiter: RateLimiter, client: str, cost: int) -> Verdict | None:
    return asyncio.run(limiter.check(client, cost))


class Clock:
    """A clock for `limits` and the server."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr("time.time", lambda: self.now)


def test_a_moving_window_has_no_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    limiter = RateLimiter("3/minute")
    allowed = []
    for clock.now in (1_059.0, 1_059.5, 1_060.5, 1_061.0, 1_119.2):
        verdict = checked(limiter, "a", 1)
        assert verdict is not None
        allowed.append(verdict.allowed)
    # A fixed window would have begun anew at 1,060.
    assert allowed == [True, True, True, False, True]


def test_a_refusal_has_the_time_to_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    limiter = RateLimiter("2/minute")
    checked(limiter, "a", 2)
    clock.now = 1_020.0
    refused = checked(limiter, "a", 1)
    assert refused is not None
    assert refused.headers["Retry-After"] == "40"
    assert refused.headers["RateLimit"] == '"default";r=0;t=40'
    assert refused.headers["RateLimit-Policy"] == '"default";q=2;w=60'
    clock.now = 1_060.5
    again = checked(limiter, "a", 1)
    assert again is not None
    assert again.allowed


def test_each_client_has_its_own_limit() -> None:
    limiter = RateLimiter("1/minute")
    verdicts = [checked(limiter, client, 1) for client in ("a", "b", "a")]
    assert [verdict.allowed for verdict in verdicts if verdict] == [True, True, False]


def test_an_empty_rate_is_unlimited_and_a_bad_one_an_error() -> None:
    assert checked(RateLimiter(""), "a", 1) is None
    with pytest.raises(SettingsError, match="rate_limit"):
        RateLimiter("often")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),  # nobody has to believe it
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("2001:db8::1:2:3:4", "", "2001:db8::/64"),
        ("::ffff:203.0.113.9", "", "203.0.113.9"),
        ("unknown", "198.51.100.7", "unknown"),
    ],
)
def test_client_address_behind_proxies(peer: str, forwarded: str, client: str) -> None:
    assert Proxies(["10.0.0.0/8"]).client(peer, forwarded) == client


def test_a_keyring_finds_the_holder_of_a_key() -> None:
    key, other = new_key(), new_key()
    ring = Keyring({"ada": ApiKey(sha256=hash_key(key), scopes=frozenset({"read", "write"}))})
    assert ring.holder(key) == ("ada", {"read", "write"})
    assert ring.holder(other) is None
    assert ring.holder("") is None
    assert ring.holder("\udcff") is None
    assert not Keyring({})


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "key"),
    [
        ("Bearer abc", "", "abc"),
        ("bearer  abc ", "", "abc"),
        ("", "abc", "abc"),
        ("Basic abc", "", None),
        ("", "", None),
        ("Bearer", "", ""),
    ],
)
def test_presented_key(authorization: str, x_api_key: str, key: str | None) -> None:
    assert presented_key(authorization, x_api_key) == key


def test_the_printed_key_is_valid_settings() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "trawl.server.auth", "ada's", "--scope", "write"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    key = printed.splitlines()[0].rpartition(" ")[2]
    keys = load_settings(api_keys=tomllib.loads(printed)["api_keys"]).api_keys
    assert Keyring(keys).holder(key) == ("ada's", {"write"})


def test_bad_keys_and_networks_are_errors() -> None:
    for options in ({"api_keys": {"a": {"sha256": "x"}}}, {"trusted_proxies": ["10.0.0/33"]}):
        with pytest.raises(SettingsError):
            load_settings(**options)


@pytest.mark.parametrize(
    "text", ["plain words", "a <b>bold</b> claim & more", "1 < 2 &amp; 3", "x</mark>y <mark>"]
)
def test_a_preview_is_the_plain_text(text: str) -> None:
    assert plain_text(snippet(text, "bold words more")) == text


def test_only_the_file_name_of_a_path_is_shown() -> None:
    assert file_name("/srv/private/a b.png") == "a b.png"
    assert file_name("file:///srv/private/%FF.txt") == "%FF.txt"


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("the model file /srv/a/b/image.onnx is damaged", "the model file image.onnx is damaged"),
        ("'/srv/private/x y' is closed", "'x y' is closed"),
        ("30,000 x 30,000 pixels and 5/6 of it", "30,000 x 30,000 pixels and 5/6 of it"),
        ("audio/wav that cannot be read", "audio/wav that cannot be read"),
    ],
)
def test_reasons_do_not_contain_paths(reason: str, shown: str) -> None:
    assert without_paths(reason) == shown


def test_every_error_has_a_kind() -> None:
    def below(cls: type[errors.TrawlError]) -> list[type[errors.TrawlError]]:
        return [cls, *(one for child in cls.__subclasses__() for one in below(child))]

    for cls in below(errors.TrawlError):
        kind = kind_of(cls("x"))
        if cls.http_status >= 500 or issubclass(cls, errors.LibraryError):
            # Their messages name paths: what the client is told is fixed.
            assert kind.detail is not None or kind.name == "overloaded", cls
    names = [kind.name for kind in KINDS.values()]
    assert len(names) == len(set(names))
