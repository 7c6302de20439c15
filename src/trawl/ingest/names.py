"""The addresses of files, and the names that links give them.

The identity of a document is the file itself, the target of all links. Its address is the name
that it was found under, which may be a link's.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Container, Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes

# Stores of git-annex, DVC, Hugging Face and others name files by the hash of their content.
_HASH = re.compile(r"[0-9a-f]{16}", re.IGNORECASE)

MEMBER = "!/"
"""What stands between the address of an archive and the name of a member."""


def document_id_of(uri: str) -> str:
    """Return the id of the document at a URI: 24 hexadecimal digits."""
    return hashlib.blake2b(uri.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def uri_of(path: Path) -> str:
    """Return the path itself, or a file:// URI if it is not UTF-8."""
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return path.as_uri()
    return text


def path_of(uri: str) -> Path:
    """Return the path of a URI from `uri_of`."""
    if uri.startswith("file://"):
        return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix("file://"))))
    return Path(uri)


def is_file(uri: str) -> bool:
    """Return whether a document's URI is that of a file, rather than of a record."""
    return uri.startswith(("/", "file://"))


def named_path(path: Path) -> Path:
    """Return the absolute path of a name: its folder is resolved, but not the name itself.

    Raises `OSError` or `RuntimeError` for a loop of links.
    """
    absolute = Path(os.path.abspath(path))
    return absolute.parent.resolve() / absolute.name


def leads_to(uri: str, document_id: str) -> bool:
    """Return whether the file at a URI exists and is, links followed, that of a document."""
    try:
        return document_id_of(uri_of(path_of(uri).resolve(strict=True))) == document_id
    except (OSError, RuntimeError, ValueError):
        # A member is taken to exist as long as its archive does.
        return document_id_of(uri) == document_id and outer_path(uri) is not None


def outer_path(uri: str) -> Path | None:
    """Return the path of the archive that a member's address begins with, if it exists."""
    at = uri.find(MEMBER)
    while at >= 0:
        path = path_of(uri[:at])
        if os.path.isfile(path):
            return path
        at = uri.find(MEMBER, at + 1)
    return None


def is_file_gone(uri: str) -> bool:
    """Return whether the file at a URI is missing; False if that cannot be known."""
    try:
        if is_file(uri):
            os.stat(uri if uri.startswith("/") else path_of(uri))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        pass
    return False


def best_name(names: Sequence[Path], real: Path) -> Path:
    """Return the name that a document is listed under, of those that lead to `real`.

    The file's own name precedes those of links, unless it is a hash; then the first counts.
    """
    return min(names, key=lambda name: (_HASH.search(name.stem) is not None, name != real))


def broken_link(path: Path) -> str:
    """Return what a link leads to that cannot be opened, or "" if the path is no link."""
    try:
        return f"a link to {os.readlink(path)!r}, which does not exist"
    except OSError:
        return ""


def below(uri: str, roots: Container[str]) -> bool:
    """Return whether a URI is one of `roots`, which end without a slash, or below one.

    A member is below its archive.
    """
    if uri in roots:
        return True
    at = len(uri)
    while (at := uri.rfind("/", 0, at)) > 0:
        if uri[:at] in roots or uri[:at].removesuffix("!") in roots:
            return True
    return at == 0 and "/" in roots
