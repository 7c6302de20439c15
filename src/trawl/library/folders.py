"""What is known about watched folders and their files."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from trawl.errors import NotFoundError, UsageError
from trawl.objects import is_object

Signature: TypeAlias = tuple[int, int, int] | None
"""The size, time of change and inode of a file; None if it does not exist."""


def top_folders(folders: Iterable[str | Path]) -> list[Path]:
    """Return the folders without those inside others.

    Raises `NotFoundError` if one does not exist, and `UsageError` for a file.
    """
    found: list[Path] = []
    for name in folders:
        if is_object(str(name)):
            raise UsageError(
                f"{name} is in an object store, which reports no changes; run trawl add --prune "
                "from time to time instead"
            )
        folder = Path(name)
        if not folder.exists():
            raise NotFoundError(f"{folder} does not exist; name a folder to watch")
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder; add single files with trawl add")
        found.append(folder.resolve())
    return [one for one in dict.fromkeys(found) if not any(o in one.parents for o in found)]


def identity(folder: Path) -> tuple[int, int] | None:
    """Return the device and inode of a folder, None if there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def signature(path: Path) -> Signature:
    """Return what changes when a file does."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def walk_order(path: Path) -> tuple[tuple[bool, str], ...]:
    """Order paths as a walk does: the files of a folder before its folders."""
    *folders, name = path.parts
    return (*((True, part) for part in folders), (False, name))


def limit_message() -> str:
    """Return what to do about the limits of inotify."""
    limits = []
    for name in ("max_user_watches", "max_user_instances"):
        with suppress(OSError):
            value = Path("/proc/sys/fs/inotify", name).read_text("ascii").strip()
            limits.append(f"fs.inotify.{name} = {value}")
    return (
        f"the system's limit of watched folders is reached ({', '.join(limits)}); comparing all "
        "files every second instead. To raise it: "
        "sudo sysctl fs.inotify.max_user_watches=1048576 fs.inotify.max_user_instances=1024"
    )
