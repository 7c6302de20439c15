"""Downloading models: whole, checked, and resumed where it was cut off.

`huggingface_hub` says where a file is and speaks to the hub, and respects its own variables
(``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_TOKEN``). The bytes are fetched here, since its own
download begins again from nothing after a cut. A model counts as downloaded only once
`installed.json` stands beside its files, and that is written last.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from trawl.encoders.cards import INSTALLED, Listing, Source
from trawl.errors import ModelError

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told a file's name, how many of its bytes are here, and how many there are."""

_ANSWER_TIMEOUT_S = 8.0
# Beside the files themselves: what an interrupted download of another revision has left.
_SPARE_BYTES = 50 * 2**20


@dataclass(frozen=True, slots=True)
class _Remote:
    """A file as the hub describes it: its address, the commit it stands at, its bytes."""

    name: str
    url: str
    commit: str
    size_bytes: int


def pull(listing: Listing, *, endpoint: str | None = None, progress: Progress | None = None) -> int:
    """Download what is missing of a model; give how many bytes it takes here.

    `endpoint` is the hub's address, huggingface_hub's own setting where it is None.
    What is here already is checked and kept. Raises `ModelError`, within 10 s where the
    hub does not answer; what has arrived by then is kept for the next attempt.
    """
    source = listing.source
    if source is None:
        return sum((listing.directory / name).stat().st_size for name in listing.files)
    found = _intact(listing)
    if found is not None:
        return found
    from huggingface_hub.errors import HTTPError

    try:
        listing.directory.mkdir(parents=True, exist_ok=True)
        return _pulled(listing, source, endpoint, progress)
    except (OSError, HTTPError) as error:
        raise _explained(error, listing, source) from error


def _pulled(
    listing: Listing, source: Source, endpoint: str | None, progress: Progress | None
) -> int:
    remotes = [_described(name, source, endpoint) for name in listing.files]
    _check_room(listing, remotes)
    hashes: dict[str, str] = {}
    for remote in remotes:
        path = listing.directory / remote.name
        if not path.exists():
            _fetch(remote, path, progress)
        hashes[remote.name] = _checked(path, listing, remote)
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
    """Download a file beside its place and move it there. A cut is tried again while it helps."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{remote.commit[:12]}.part")
    had = -1
    while (has := _size_of(partial)) < remote.size_bytes:
        if has <= had:
            raise ModelError(f"{remote.url} ends after {has:,} bytes of {remote.size_bytes:,}")
        had = has
        try:
            _append(remote, partial, has, progress)
        except HfHubHTTPError:
            raise
        except HTTPError:
            if _size_of(partial) <= had:
                raise
    partial.replace(path)


def _append(remote: _Remote, partial: Path, start: int, progress: Progress | None) -> None:
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with get_session().stream(
        "GET", remote.url, headers=headers, timeout=_ANSWER_TIMEOUT_S, follow_redirects=True
    ) as response:
        if response.is_error:
            response.read()
        hf_raise_for_status(response)
        goes_on = bool(start) and response.status_code == 206
        with partial.open("ab" if goes_on else "wb") as file:
            for piece in response.iter_bytes():
                file.write(piece)
                if progress is not None:
                    progress(remote.name, file.tell(), remote.size_bytes)


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _described(name: str, source: Source, endpoint: str | None) -> _Remote:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(source.repository, name, revision=source.revision, endpoint=endpoint)
    found = get_hf_file_metadata(url, timeout=_ANSWER_TIMEOUT_S, endpoint=endpoint)
    if found.commit_hash is None or found.size is None:
        raise ModelError(
            f"{url} does not answer as a hub does (no commit or no size); is the address right?"
        )
    return _Remote(name, url, found.commit_hash, found.size)


def _check_room(listing: Listing, remotes: list[_Remote]) -> None:
    missing = sum(
        remote.size_bytes for remote in remotes if not (listing.directory / remote.name).exists()
    )
    free = shutil.disk_usage(listing.directory).free
    if missing + _SPARE_BYTES > free:
        raise ModelError(
            f"the model {listing.name} takes {missing / 1e6:,.0f} MB, and {listing.directory} "
            f"has {free / 1e6:,.0f} MB free; make room, or choose another folder with --model-dir"
        )


def _checked(path: Path, listing: Listing, remote: _Remote) -> str:
    """Give a file's SHA-256. One that is not the card's is removed (`ModelError`)."""
    digest = _sha256(path)
    expected = listing.files[remote.name]
    if expected and digest != expected:
        path.unlink()
        raise ModelError(
            f"{remote.name} of {listing.name} is not what the card says: its SHA-256 is "
            f"{digest[:12]}..., not {expected[:12]}...; it was removed. Try again; if it comes "
            "back so, the repository has changed and the model must not be trusted"
        )
    return digest


def _intact(listing: Listing) -> int | None:
    """Give the bytes of a model that is here and whole, None where it is not."""
    try:
        record = json.loads((listing.directory / INSTALLED).read_text("utf-8"))["files"]
        total = 0
        for name in listing.files:
            path = listing.directory / name
            if _sha256(path) != record[name]:
                path.unlink()
                return None
            total += path.stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return total


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _explained(error: Exception, listing: Listing, source: Source) -> ModelError:
    """Say what failed and what to do."""
    from huggingface_hub import errors

    what = f"the model {listing.name} could not be downloaded"
    where = f"{source.repository} at {source.revision[:12]}"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return ModelError(
            f"{what}: HF_HUB_OFFLINE is set. Unset it, or copy a folder that has the model "
            f"to {listing.directory}"
        )
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return ModelError(
            f"{what}: the disk is full at {listing.directory}; make room and try again, "
            "what has arrived is kept"
        )
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status in (401, 403):
        return ModelError(
            f"{what}: the hub refuses access to {where} (HTTP {status}). It may want its terms "
            "accepted on its page, and a token in HF_TOKEN; or the name is wrong"
        )
    if status == 404:
        return ModelError(
            f"{what}: the hub has not got a file of it in {where} (HTTP 404). The repository may "
            "have moved; look for a newer version of Trawl, or write a card of your own"
        )
    if status is not None:
        return ModelError(f"{what}: the hub answered HTTP {status} for {where}; try again later")
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return ModelError(f"{what}: {error.filename}: {error.strerror}")
    return ModelError(
        f"{what}: the hub cannot be reached ({type(error).__name__}: {_first_line(error)}). "
        "Check the network and try again, what has arrived is kept; on a machine without a "
        f"network, copy a folder that has the model to {listing.directory}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["no reason given"])[0]
