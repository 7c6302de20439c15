"""Where a library is: a directory, or a prefix of an object store such as `s3://bucket/papers`.

The tables are read and written by `lance`, which takes `Location.table` and
`Location.storage_options`. All other files of a library go through the methods here, by name.
"""

from __future__ import annotations

import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from trawl.errors import LibraryError, LibraryReadOnlyError, StorageError, UsageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
"""The object stores that a library may be in: S3 and compatible ones, Google Cloud, Azure."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")

# An address or a network that does not answer fails after about half a minute, not three.
_CONNECT_TIMEOUT_S = 5
_RETRIES = 5
_RETRY_TIMEOUT_S = 30

_BLOCK_BYTES = 4 * 2**20

_CLIENT_OPTIONS = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "connect_timeout",
        "http1_only",
        "http2_only",
        "pool_idle_timeout",
        "pool_max_idle_per_host",
        "proxy_ca_certificate",
        "proxy_excludes",
        "proxy_url",
        "timeout",
        "user_agent",
    }
)
_TRUE = ("true", "1")
_NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound|specified bucket does not exist")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a location: its name, its size in bytes and a tag that changes with it."""

    name: str
    size: int
    tag: str


class Location(ABC):
    """The place of one library. `address` is how users name it."""

    address: str
    path: Path | None = None
    """The directory; None for an object store."""
    storage_options: dict[str, str] | None = None
    """Credentials and endpoint for `lance`; None for a directory."""

    def __str__(self) -> str:
        return self.address

    @abstractmethod
    def table(self, name: str) -> str:
        """Return the address of a Lance table."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises `FileNotFoundError`."""

    @abstractmethod
    def blocks(self, name: str) -> Iterator[bytes]:
        """Return the content of a file in blocks of some megabytes. Raises `FileNotFoundError`."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Write a file or replace it; readers see the earlier content or the new one."""

    @abstractmethod
    def create(self, name: str, content: bytes) -> None:
        """Write a file that does not exist. Raises `FileExistsError`."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a file, if it exists."""

    @abstractmethod
    def entry(self, name: str) -> Entry | None:
        """Return a file's size and tag, or None if there is no such file."""

    @abstractmethod
    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Return the files below a prefix, which is empty or ends with a slash."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of the files and folders at the top."""

    @abstractmethod
    def clear(self, prefix: str) -> None:
        """Delete all files below a prefix, which ends with a slash."""

    def exists(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        return self.entry(name) is not None


class Directory(Location):
    """A library on a local disk."""

    path: Path

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = str(path)

    def table(self, name: str) -> str:
        """Return the path of a Lance table."""
        return str(self.path / f"{name}.lance")

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises `FileNotFoundError`."""
        return (self.path / name).read_bytes()

    def blocks(self, name: str) -> Iterator[bytes]:
        """Return the content of a file in blocks. Raises `FileNotFoundError`."""
        with (self.path / name).open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block

    def write(self, name: str, content: bytes) -> None:
        """Write a file or replace it, by renaming a temporary one."""
        with self._temporary(name, content) as temporary:
            temporary.replace(self.path / name)

    def create(self, name: str, content: bytes) -> None:
        """Write a file that does not exist. Raises `FileExistsError`."""
        with self._temporary(name, content) as temporary:
            os.link(temporary, self.path / name)

    @contextmanager
    def _temporary(self, name: str, content: bytes) -> Iterator[Path]:
        """Write a temporary file beside the file `name`, and delete it if it is still there."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid4().hex}")
        try:
            temporary.write_bytes(content)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Delete a file, if it exists."""
        (self.path / name).unlink(missing_ok=True)

    def entry(self, name: str) -> Entry | None:
        """Return a file's size and tag, or None if there is no such file."""
        try:
            found = (self.path / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Entry(name, found.st_size, str(found.st_mtime_ns))

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Return the files below a prefix. Files that vanish meanwhile are left out."""
        for folder, _, names in os.walk(self.path / prefix):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):
                    found = path.stat()
                    relative = path.relative_to(self.path).as_posix()
                    yield Entry(relative, found.st_size, str(found.st_mtime_ns))

    def names(self) -> list[str]:
        """Return the names in the directory; none if it does not exist."""
        with suppress(FileNotFoundError):
            return os.listdir(self.path)
        return []

    def clear(self, prefix: str) -> None:
        """Delete a folder, if it exists."""
        shutil.rmtree(self.path / prefix, ignore_errors=True)


class Bucket(Location):
    """A library in an object store, below a prefix of a bucket.

    `storage_options` are those of Lance and of the crate `object_store`, such as
    `aws_endpoint`, `aws_access_key_id` or `allow_http`; the usual environment variables
    (`AWS_…`, `GOOGLE_…`, `AZURE_…`) apply where an option is missing.
    """

    storage_options: dict[str, str]

    def __init__(self, address: str, storage_options: Mapping[str, str]) -> None:
        self.address = address.rstrip("/")
        self.storage_options = {
            "connect_timeout": f"{_CONNECT_TIMEOUT_S}s",
            "client_max_retries": str(_RETRIES),
            "client_retry_timeout": str(_RETRY_TIMEOUT_S),
            **storage_options,
        }
        parts = urlsplit(self.address)
        if not parts.netloc:
            raise UsageError(f"{address} names no bucket; write {parts.scheme}://BUCKET/PREFIX")
        _ = self.store  # raises for options that are not known

    @cached_property
    def store(self) -> ObjectStore:
        """The store, whose paths are relative to the library. Raises `UsageError`."""
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        options = {
            key.lower(): value
            for key, value in self.storage_options.items()
            if key.lower() not in ("client_max_retries", "client_retry_timeout")
        }
        client: dict[str, Any] = {
            key: options.pop(key) for key in sorted(_CLIENT_OPTIONS & options.keys())
        }
        if "allow_http" in client:
            client["allow_http"] = str(client["allow_http"]).lower() in _TRUE
        try:
            return from_url(  # type: ignore[call-overload, no-any-return]  # one a store
                self.address,
                config=options,
                client_options=client,
                retry_config={
                    "max_retries": int(self.storage_options["client_max_retries"]),
                    "retry_timeout": timedelta(
                        seconds=float(self.storage_options["client_retry_timeout"])
                    ),
                },
            )
        except (BaseError, ValueError, TypeError) as error:
            raise UsageError(
                f"cannot use {self.address}: {reason_of(error)}; check the storage options "
                "(TRAWL_STORAGE_OPTIONS)"
            ) from error

    def table(self, name: str) -> str:
        """Return the URI of a Lance table."""
        return f"{self.address}/{name}.lance"

    def read(self, name: str) -> bytes:
        """Return the content of an object. Raises `FileNotFoundError` and `StorageError`."""
        with self.errors("read", name):
            return self.store.get(name).bytes().to_bytes()

    def blocks(self, name: str) -> Iterator[bytes]:
        """Return the content of an object in blocks.

        Raises `FileNotFoundError` and `StorageError`.
        """
        with self.errors("read", name):
            for block in self.store.get(name).stream(min_chunk_size=_BLOCK_BYTES):
                yield bytes(block)

    def read_tagged(self, name: str) -> tuple[bytes, str]:
        """Return the content of an object, and the tag of what was read.

        Raises `FileNotFoundError` and `StorageError`.
        """
        with self.errors("read", name):
            found = self.store.get(name)
            return found.bytes().to_bytes(), found.meta["e_tag"] or ""

    def replace(self, name: str, content: bytes, tag: str) -> bool:
        """Overwrite an object if it still has `tag`, and return whether it had."""
        from obstore.exceptions import PreconditionError

        with self.errors("write", name):
            try:
                self.store.put(name, content, mode={"e_tag": tag})
            except (PreconditionError, FileNotFoundError):
                return False
        return True

    def upload(self, name: str, file: IO[bytes]) -> None:
        """Write an object from a file, in several requests if it is large."""
        with self.errors("write", name):
            self.store.put(name, file)

    def write(self, name: str, content: bytes) -> None:
        """Write an object or replace it. Raises `StorageError`."""
        with self.errors("write", name):
            self.store.put(name, content)

    def create(self, name: str, content: bytes) -> None:
        """Write an object that does not exist. Raises `FileExistsError` and `StorageError`."""
        with self.errors("write", name):
            self.store.put(name, content, mode="create")

    def delete(self, name: str) -> None:
        """Delete an object, if it exists. Raises `StorageError`."""
        with self.errors("delete", name), suppress(FileNotFoundError):
            self.store.delete(name)

    def entry(self, name: str) -> Entry | None:
        """Return an object's size and tag, or None if there is none. Raises `StorageError`."""
        with self.errors("read", name):
            try:
                found = self.store.head(name)
            except FileNotFoundError:
                return None
        return Entry(name, found["size"], found["e_tag"] or str(found["last_modified"]))

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Return the objects below a prefix. Raises `StorageError`."""
        with self.errors("list", prefix or "the library"):
            for page in self.store.list(prefix.rstrip("/") or None):
                for found in page:
                    tag = found["e_tag"] or str(found["last_modified"])
                    yield Entry(found["path"], found["size"], tag)

    def names(self) -> list[str]:
        """Return the names of the objects and common prefixes. Raises `StorageError`."""
        with self.errors("list", "the library"):
            found = self.store.list_with_delimiter()
        return [
            *(PurePosixPath(prefix).name for prefix in found["common_prefixes"]),
            *(PurePosixPath(entry["path"]).name for entry in found["objects"]),
        ]

    def clear(self, prefix: str) -> None:
        """Delete all objects below a prefix. Raises `StorageError`."""
        names = [entry.name for entry in self.entries(prefix)]
        with self.errors("delete", prefix):
            if names:
                self.store.delete(names)

    @contextmanager
    def errors(self, action: str, name: str) -> Iterator[None]:
        """Raise the errors of obstore as those of Trawl and of the standard library."""
        from obstore.exceptions import (
            AlreadyExistsError,
            BaseError,
            PermissionDeniedError,
            UnauthenticatedError,
        )

        try:
            yield
        except FileNotFoundError as error:
            if action == "write":
                raise StorageError(
                    f"cannot write {name} in {self.address}: there is no such bucket; create it"
                ) from error
            raise FileNotFoundError(f"{self.address}/{name}") from error
        except AlreadyExistsError as error:
            raise FileExistsError(f"{self.address}/{name}") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            kind = StorageError if action in ("read", "list") else LibraryReadOnlyError
            raise kind(
                f"may not {action} {name} in {self.address}: {reason_of(error)}; check the "
                "credentials"
            ) from error
        except BaseError as error:
            if _NO_BUCKET.search(str(error)):
                raise StorageError(
                    f"cannot {action} {name} in {self.address}: there is no such bucket; check "
                    "the address and the endpoint"
                ) from error
            raise StorageError(
                f"cannot {action} {name} in {self.address}: {reason_of(error)}; check the "
                "address, the endpoint and the credentials, or try again later"
            ) from error


def reason_of(error: Exception) -> str:
    """Return the message of an error of a store in one line, without its debug part."""
    first = str(error).split("\n\nDebug source")[0]
    return " ".join(first.split()) or type(error).__name__


def location_of(
    address: str | os.PathLike[str], storage_options: Mapping[str, str] | None = None
) -> Location:
    """Return the location of a library by its path or address.

    Raises `UsageError` for another kind of address, and for invalid options.
    """
    text = os.fspath(address)
    found = _ADDRESS.match(text)
    if found is None:
        return Directory(Path(address))
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        hint = "; use --server for a server" if scheme in ("http", "https") else ""
        raise UsageError(
            f"{text} is not the address of a library; use a directory, or {known}{hint}"
        )
    return Bucket(text, storage_options or {})


def is_remote(address: str | os.PathLike[str]) -> bool:
    """Return whether an address names an object store, not a directory."""
    return _ADDRESS.match(os.fspath(address)) is not None


def prove_exclusive(location: Location, rounds: int = 3) -> None:
    """Check that two writers cannot both create one object. Raises `LibraryError`.

    The commits of the engine and the lease of the writer rest on it. Stores that ignore the
    condition let one writer overwrite what another has committed, without an error.
    """
    from concurrent.futures import ThreadPoolExecutor

    def create(name: str, content: bytes) -> bool:
        try:
            location.create(name, content)
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        for _ in range(rounds):
            name = f".probe-{uuid4().hex}"
            try:
                won = list(threads.map(create, (name, name), (b"1", b"2")))
                won.append(create(name, b"3"))
            finally:
                location.delete(name)
            if sum(won) != 1:
                raise LibraryError(
                    f"{location} cannot hold a library: {sum(won)} of {len(won)} writers could "
                    "create one object at the same time, so commits would overwrite each "
                    "other; use a store that honours If-None-Match: *"
                )
