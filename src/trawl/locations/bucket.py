"""Libraries in object stores."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trawl.errors import LibraryReadOnlyError, StorageError, UsageError
from trawl.locations.base import Entry, Location

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

# An address or a network that does not answer fails after about half a minute, not three.
_CONNECT_TIMEOUT_S = 5
_RETRIES = 5
_RETRY_TIMEOUT_S = 30

BLOCK_BYTES = 4 * 2**20
"""Bytes that are read or written at a time."""

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
# Without configured credentials, obstore asks the provider for those of the machine, here.
_OF_MACHINE = re.compile("/latest/(api/token|meta-data/)|/computeMetadata/|/metadata/identity/")
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


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
        self.scheme = parts.scheme
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
            for block in self.store.get(name).stream(min_chunk_size=BLOCK_BYTES):
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
        return Entry(name, found["size"], tag_of(found))

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Return the objects below a prefix. Raises `StorageError`."""
        with self.errors("list", prefix or "the library"):
            for page in self.store.list(prefix.rstrip("/") or None):
                for found in page:
                    yield Entry(found["path"], found["size"], tag_of(found))

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
            if _OF_MACHINE.search(str(error)):
                raise StorageError(
                    f"cannot {action} {name} in {self.address}: no credentials are set, and this "
                    f"machine has none of its own; set {_CREDENTIALS[self.scheme]}, or the same "
                    "in storage_options (TRAWL_STORAGE_OPTIONS)"
                ) from error
            raise StorageError(
                f"cannot {action} {name} in {self.address}: {reason_of(error)}; check the "
                "address, the endpoint and the credentials, or try again later"
            ) from error


def tag_of(meta: ObjectMeta) -> str:
    """Return the ETag of an object, or the second in which it was written."""
    return meta["e_tag"] or str(int(meta["last_modified"].timestamp()))


def reason_of(error: Exception) -> str:
    """Return the message of an error of a store in one line, without its debug part."""
    first = str(error).split("\n\nDebug source")[0]
    return " ".join(first.split()) or type(error).__name__
