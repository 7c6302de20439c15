"""ZIP and tar archives, and mails with attached files: their members, within limits.

A member is a document of its own. The archive itself has no content to search; its notices name
what of it is left out.
"""

from __future__ import annotations

import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from trawl.errors import ReadError
from trawl.readers.formats import MIB, Format, Limits, opened, short_reason, stem_title
from trawl.readers.mails import attachments, parse_mail, payload
from trawl.readers.zipped import ZIP_HEAD
from trawl.types import Reading

MAX_MEMBERS = 50_000
MAX_UNPACKED_BYTES = 8192 * MIB
"""Bytes of all members of an archive, with those of archives in it."""
MAX_RATIO = 200
"""How many times larger a member of more than `MAX_BOMB_BYTES` may be than its packed form."""
MAX_BOMB_BYTES = 64 * MIB
MAX_DEPTH = 3
"""Levels of archives in archives that are opened."""
ZIP, TAR, MAIL = "application/zip", "application/x-tar", "message/rfc822"
_DAMAGES = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError,
    NotImplementedError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive. `name` is relative, with "/" and without "..".

    `open` is valid until the next member is asked for; what it returns raises errors of many
    types, which `damages` turns into `ReadError`. With a `problem`, the member cannot be read.
    """

    name: str
    size_bytes: int
    open: Callable[[], BinaryIO]
    problem: str = ""


def is_archive(media_type: str) -> bool:
    """Return whether files of a media type have members."""
    return media_type in {ZIP, TAR, MAIL}


def members(path: Path, media_type: str, left_out: Counter[str]) -> Iterator[Member]:
    """Yield the members of an archive, in order, without folders and hidden files.

    Counts what is left out by its kind. Raises `ReadError` if the archive is damaged.
    """
    walk = {ZIP: _zip_members, TAR: _tar_members, MAIL: _mail_members}[media_type]
    with damages():
        for member in walk(path, left_out):
            name = _safe_name(member.name)
            if name is None:
                left_out["members that lead out of the archive, or have no valid name"] += 1
            elif not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/")):
                yield Member(name, member.size_bytes, member.open, member.problem)


@contextmanager
def damages() -> Iterator[None]:
    """Turn what the libraries raise for damaged archives into `ReadError`."""
    try:
        yield
    except ReadError:
        raise
    except _DAMAGES as error:
        raise ReadError(f"the archive is damaged: {short_reason(error)}") from error


def read_archive(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Read the list of members. Raises `ReadError` if it is damaged or beyond the limits."""
    left_out: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for number, member in enumerate(members(path, media_type, left_out), start=1):
        check_count(number)
        seen[member.name] += 1
        limits.progress(number)
    repeated = sum(count - 1 for count in seen.values())
    if repeated:
        left_out["members whose name occurs again later"] = repeated
    notices = tuple(f"{kind} are left out: {count:,}" for kind, count in left_out.items())
    return Reading(media_type, stem_title(path), (), {"members": len(seen)}, notices)


def check_count(number: int) -> None:
    """Raise `ReadError` if an archive has too many members."""
    if number > MAX_MEMBERS:
        raise ReadError(f"more than {MAX_MEMBERS:,} members; extract it and add the folder")


def _zip_members(path: Path, left_out: Counter[str]) -> Iterator[Member]:
    with opened(path) as stream, zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if (info.external_attr >> 16) & 0o170000 == 0o120000:
                left_out["links"] += 1
                continue
            problem = ""
            if info.flag_bits & 1:
                problem = "it is encrypted; extract it and add the file"
            elif (
                info.file_size > MAX_BOMB_BYTES and info.file_size > MAX_RATIO * info.compress_size
            ):
                problem = (
                    f"it is {info.file_size:,} bytes in {info.compress_size:,} packed ones, as in "
                    "a ZIP bomb; extract it if you trust it"
                )
            open_ = partial(archive.open, info)
            yield Member(info.filename, info.file_size, open_, problem)  # type: ignore[arg-type]


def _tar_members(path: Path, left_out: Counter[str]) -> Iterator[Member]:
    with opened(path) as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
        for info in archive:
            if info.isdir():
                continue
            if not info.isreg():
                left_out["links, pipes and devices"] += 1
                continue
            name = info.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

            def open_(info: tarfile.TarInfo = info) -> BinaryIO:
                found = archive.extractfile(info)
                if found is None:
                    raise ReadError("it has no content")
                return found  # type: ignore[return-value]

            yield Member(name, info.size, open_)


def _mail_members(path: Path, left_out: Counter[str]) -> Iterator[Member]:
    for name, part in attachments(parse_mail(path)):
        data = payload(part)
        yield Member(name, len(data), partial(io.BytesIO, data))


def _safe_name(name: str) -> str | None:
    """Return a relative name, None if it leads out of the archive or is not valid."""
    name = name.replace("\\", "/")
    if name.startswith("/") or _DRIVE.match(name) or any(ord(letter) < 32 for letter in name):
        return None
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if not parts or ".." in parts or any(len(part.encode()) > 255 for part in parts):
        return None
    return "/".join(parts)


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


FORMATS = (
    Format(
        TAR,
        "text",
        "a tar archive",
        frozenset({".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz"}),
        partial(read_archive, media_type=TAR),
        _is_tar,
        heads=(b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"),
    ),
    Format(
        ZIP,
        "text",
        "a ZIP archive",
        frozenset({".zip"}),
        partial(read_archive, media_type=ZIP),
        lambda head: head.startswith((ZIP_HEAD, b"PK\x05\x06")),
        heads=(ZIP_HEAD,),
    ),
)
