"""Source files in object stores, by address: `s3://bucket/key`, and the same for `gs://`, `az://`."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from trawl.errors import GoneError, ReadError
from trawl.locations import BLOCK_BYTES, SCHEMES, Bucket, tag_of

if TYPE_CHECKING:
    from obstore import ObjectMeta

_SCHEMES = tuple(f"{scheme}://" for scheme in SCHEMES)


def is_object(address: str) -> bool:
    """Return whether an address is that of an object, or of a prefix of objects."""
    return address.startswith(_SCHEMES)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it was listed. `tag` is its ETag; `modified_ns` is in whole seconds."""

    bucket: Bucket
    name: str
    size_bytes: int
    modified_ns: int
    tag: str

    @property
    def uri(self) -> str:
        """Its address."""
        return f"{self.bucket.address}/{self.name}"

    @property
    def fingerprint(self) -> str:
        """A hash of its size and tag, which changes with its content: 16 digits."""
        text = f"{self.size_bytes}:{self.tag}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`.

        Raises `GoneError` if it has changed or is gone, and `StorageError`.
        """
        end = min(end, self.size_bytes)
        if start >= end:
            return b""
        try:
            with self.bucket.errors("read", self.name):
                found = self.bucket.store.get(self.name, options={"range": (start, end)})
                content = found.bytes().to_bytes()
        except FileNotFoundError as error:
            raise GoneError(f"{self.uri} is gone") from error
        if tag_of(found.meta) != self.tag:
            raise GoneError(f"{self.uri} changed meanwhile")
        return content

    def download(self, path: Path) -> StoredObject:
        """Write its content to a file, which has its time, and return it as it is now.

        Raises `ReadError` if it is gone or too large for the disk, and `StorageError`.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.gettempdir()
        if self.size_bytes > shutil.disk_usage(path.parent).free // 2:
            raise ReadError(
                f"{self.size_bytes:,} bytes do not fit into {folder}; set TMPDIR to a folder with "
                "more room"
            )
        try:
            with self.bucket.errors("read", self.name), path.open("wb") as out:
                found = self.bucket.store.get(self.name)
                for block in found.stream(min_chunk_size=BLOCK_BYTES):
                    out.write(block)
        except FileNotFoundError as error:
            raise ReadError("the object is gone") from error
        now = _stored(self.bucket, found.meta)
        os.utime(path, ns=(now.modified_ns, now.modified_ns))
        return now

    def open(self) -> BinaryIO:
        """Return its content as a file that is read in blocks, by ranges."""
        return io.BufferedReader(_ObjectFile(self), BLOCK_BYTES)


class Objects:
    """The objects that a library reads from, with its storage options. Thread-safe.

    `own` is the address of the library, whose own files are not listed; `own_directory` is its
    directory, None for one in a store.
    """

    def __init__(self, storage_options: Mapping[str, str], own: str = "") -> None:
        self._options = dict(storage_options)
        self.own_directory = None if not own or is_object(own) else Path(own).resolve()
        self._own = f"{own.rstrip('/')}/"
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def place(self, address: str) -> tuple[Bucket, str]:
        """Return the bucket of an address, and the name in it. Raises `UsageError`."""
        scheme, _, rest = address.partition("://")
        name, _, key = rest.partition("/")
        root = f"{scheme}://{name}"
        with self._lock:
            if root not in self._buckets:
                self._buckets[root] = Bucket(root, self._options)
            return self._buckets[root], key.strip("/")

    def get(self, address: str) -> StoredObject | None:
        """Return an object, or None if there is none. Raises `StorageError`."""
        bucket, name = self.place(address)
        if not name:
            return None
        try:
            with bucket.errors("read", name):
                return _stored(bucket, bucket.store.head(name))
        except FileNotFoundError:
            return None

    def list(self, address: str) -> list[StoredObject]:
        """Return the objects below a prefix, sorted by name. Raises `StorageError`.

        A prefix ends where a name between slashes does. The markers that some tools create for
        folders are left out, and so are the library's own files unless the prefix is among them.
        """
        bucket, name = self.place(address)
        own = "" if f"{address}/".startswith(self._own) else self._own
        found = []
        with bucket.errors("list", name or "the bucket"):
            for page in bucket.store.list(name or None):
                found += [_stored(bucket, meta) for meta in page]
        if own:
            found = [one for one in found if not one.uri.startswith(own)]
        folders = {str(folder) for one in found for folder in _folders(one.name)}
        kept = (one for one in found if one.size_bytes or one.name not in folders)
        return sorted(kept, key=lambda one: one.name)


def _folders(name: str) -> list[str]:
    found = []
    at = name.rfind("/")
    while at > 0:
        found.append(name[:at])
        at = name.rfind("/", 0, at)
    return found


def _stored(bucket: Bucket, meta: ObjectMeta) -> StoredObject:
    seconds = int(meta["last_modified"].timestamp())  # HEAD and LIST differ in the fraction
    return StoredObject(bucket, meta["path"], meta["size"], seconds * 1_000_000_000, tag_of(meta))


class _ObjectFile(io.RawIOBase):
    """An object as a file. Reading raises `OSError` if it changes or the store fails."""

    def __init__(self, source: StoredObject) -> None:
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size_bytes}
        self._at = max(0, base[whence] + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._source.read(self._at, self._at + len(buffer))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
