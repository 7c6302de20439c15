"""Download models: verified, and resumed after an interruption.

`huggingface_hub` resolves and requests files, and honours its own variables
(``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_TOKEN``). The body is streamed here, because its own
download restarts from the beginning after an interruption. `installed.json` is written last; a
model without it counts as missing.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from trawl.encoders.cards import INSTALLED, Listing, Source, recorded, sha256_of
from trawl.errors import ModelError

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with a file's name, its downloaded bytes and its total bytes."""

_RESPONSE_TIMEOUT_S = 8.0
# For the partial files of an interrupted download of another revision.
_SPARE_BYTES = 50 * 2**20


@dataclass(frozen=True, slots=True)
class _Remote:
    """A file on the hub."""

    name: str
    url: str
    commit: str
    size_bytes: int


def pull(listing: Listing, *, endpoint: str | None = None, progress: Progress | None = None) -> int:
    """Download the missing files of a model. Return its size on disk in bytes.

    `endpoint` is the URL of the hub; None uses huggingface_hub's setting. Existing files
    are verified and kept. Raises `ModelError`, within 10 s if the hub does not respond;
    partial files are kept for the next attempt.
    """
    source = listing.source
    if source is None:
        return sum((listing.directory / name).stat().st_size for name in listing.files)
    if (size_bytes := _verified_size(listing)) is not None:
        return size_bytes
    from huggingface_hub.errors import HTTPError

    try:
        listing.directory.mkdir(parents=True, exist_ok=True)
        return _download(listing, source, endpoint, progress)
    except (OSError, HTTPError) as error:
        raise _explain(error, listing, source) from error


def _download(
    listing: Listing, source: Source, endpoint: str | None, progress: Progress | None
) -> int:
    hashes: dict[str, str] = {}
    if listing.is_modular:
        # All towers are of one commit, whenever they are downloaded.
        hashes, commit = recorded(listing.directory)
        source = replace(source, revision=commit or source.revision)
    remotes = [_resolve(name, source, endpoint) for name in listing.files]
    _check_disk_space(listing, remotes)
    for remote in remotes:
        path = listing.directory / remote.name
        if not path.exists():
            _fetch(remote, path, progress)
        hashes[remote.name] = _verify(path, listing, remote)
    record = {
        "repository": source.repository,
        "commit": remotes[0].commit,
        "files": hashes,
    }
    temporary = listing.directory / f".{INSTALLED}.new"
    temporary.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    temporary.replace(listing.directory / INSTALLED)
    return sum(remote.size_bytes for remote in remotes)


def _fetch(remote: _Remote, path: Path, progress: Progress | None) -> None:
    """Download a file under a temporary name. Retry after interruptions while bytes arrive."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{remote.commit[:12]}.part")
    previous = -1
    while (size := _size_of(partial)) < remote.size_bytes:
        if size <= previous:
            raise ModelError(f"{remote.url} ends after {size:,} bytes of {remote.size_bytes:,}")
        previous = size
        try:
            _append(remote, partial, size, progress)
        except HfHubHTTPError:
            raise
        except HTTPError:
            if _size_of(partial) <= previous:
                raise
    partial.replace(path)


def _append(remote: _Remote, partial: Path, start: int, progress: Progress | None) -> None:
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with get_session().stream(
        "GET", remote.url, headers=headers, timeout=_RESPONSE_TIMEOUT_S, follow_redirects=True
    ) as response:
        if response.is_error:
            response.read()
        hf_raise_for_status(response)
        resumes = bool(start) and response.status_code == 206
        with partial.open("ab" if resumes else "wb") as file:
            for piece in response.iter_bytes():
                file.write(piece)
                if progress is not None:
                    progress(remote.name, file.tell(), remote.size_bytes)


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _resolve(name: str, source: Source, endpoint: str | None) -> _Remote:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(source.repository, name, revision=source.revision, endpoint=endpoint)
    metadata = get_hf_file_metadata(url, timeout=_RESPONSE_TIMEOUT_S, endpoint=endpoint)
    if metadata.commit_hash is None or metadata.size is None:
        raise ModelError(
            f"{url} does not respond like a Hugging Face hub (no commit or size); check the address"
        )
    return _Remote(name, url, metadata.commit_hash, metadata.size)


def _check_disk_space(listing: Listing, remotes: list[_Remote]) -> None:
    missing = sum(
        remote.size_bytes for remote in remotes if not (listing.directory / remote.name).exists()
    )
    free = shutil.disk_usage(listing.directory).free
    if missing + _SPARE_BYTES > free:
        raise ModelError(
            f"the model {listing.name} needs {missing / 1e6:,.0f} MB, but {listing.directory} has "
            f"{free / 1e6:,.0f} MB free; make room, or choose another folder with --model-dir"
        )


def _verify(path: Path, listing: Listing, remote: _Remote) -> str:
    """Return a file's SHA-256. Delete it and raise `ModelError` if the card has another."""
    digest = sha256_of(path)
    expected = listing.files[remote.name]
    if expected and digest != expected:
        path.unlink()
        raise ModelError(
            f"{remote.name} of {listing.name} does not match the card: its SHA-256 is "
            f"{digest[:12]}..., not {expected[:12]}...; it was deleted. Try again; if it happens "
            "again, the repository has changed and the model must not be trusted"
        )
    return digest


def _verified_size(listing: Listing) -> int | None:
    """Return the size in bytes of a complete model, None if it is incomplete or damaged."""
    try:
        record = json.loads((listing.directory / INSTALLED).read_text("utf-8"))["files"]
        total = 0
        for name in listing.files:
            path = listing.directory / name
            if sha256_of(path) != record[name]:
                path.unlink()
                return None
            total += path.stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return total


def _explain(error: Exception, listing: Listing, source: Source) -> ModelError:
    """Return an error that names the cause and the remedy."""
    from huggingface_hub import errors

    failure = f"the model {listing.name} could not be downloaded"
    where = f"{source.repository} at {source.revision[:12]}"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return ModelError(
            f"{failure}: HF_HUB_OFFLINE is set. Unset it, or copy a folder that contains the "
            f"model to {listing.directory}"
        )
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return ModelError(
            f"{failure}: the disk is full at {listing.directory}; make room and try again. "
            "The partial download is kept"
        )
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status in (401, 403):
        return ModelError(
            f"{failure}: the hub refuses access to {where} (HTTP {status}). The repository may "
            "require accepting its terms and a token in HF_TOKEN, or the name is wrong"
        )
    if status == 404:
        return ModelError(
            f"{failure}: a file is not found in {where} (HTTP 404). The repository may have "
            "moved; look for a newer version of Trawl, or write your own card"
        )
    if status is not None:
        return ModelError(f"{failure}: the hub responds with HTTP {status} for {where}; try later")
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return ModelError(f"{failure}: {error.filename}: {error.strerror}")
    return ModelError(
        f"{failure}: the hub cannot be reached ({type(error).__name__}: {_first_line(error)}). "
        "Check the network and try again; the partial download is kept. On a machine without a "
        f"network, copy a folder that contains the model to {listing.directory}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["no reason given"])[0]
