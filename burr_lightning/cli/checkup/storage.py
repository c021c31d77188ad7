"""Where runs are kept: the disk, the room on it, and who may write there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from burr.tracking import LocalTrackingClient

from ...amounts import file_size
from ...layout import run_folders
from ...scheduling.jobs import QUEUE
from ...storage.sizes import size_of
from .finding import Finding, about, count

_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "lustre", "gpfs", "beegfs", "ceph", "9p")
_LITTLE = 100_000_000
"""Bytes: less than this is little, however small the checkpoints are."""


def check_storage(root: Path) -> Iterator[Finding]:
    """The folder of all runs.

    Args:
        root: That folder, which need not be there.
    """
    if not root.is_dir():
        yield from _not_there(root)
        return
    kind = file_system(root)
    largest, size, runs = _sizes(root)
    usage = shutil.disk_usage(root)
    on = f" on {kind}" if kind else ""
    text = f"{root}{on}: {count(runs, 'run')}, {file_size(size)}; {file_size(usage.free)} are free"
    yield Finding("storage", "fine", text)
    if kind in _NETWORK:
        yield Finding(
            "storage",
            "note",
            f"{kind} is a network file system: where several machines write, keep the rows on a server with "
            f"BurrCallback(persister=...)",
        )
    if kind in ("tmpfs", "ramfs"):
        yield Finding("storage", "note", f"{kind} is in memory: what is there is gone after a restart")
    if usage.free < max(_LITTLE, 2 * largest):
        yield Finding(
            "storage",
            "problem",
            f"{file_size(usage.free)} are free, and a checkpoint takes {file_size(largest)}",
        )


def check_permissions(root: Path) -> Iterator[Finding]:
    """What this user may not read or write.

    Args:
        root: The folder of all runs.
    """
    places = [root, *([root / QUEUE] if (root / QUEUE).exists() else []), *sorted(root.glob("state.sqlite*"))]
    for folder in run_folders(root, None) if os.access(root, os.R_OK | os.X_OK) else []:
        places += [folder.path, folder.checkpoints, folder.path / "run.json", folder.lock]
    there = [place for place in places if place.exists()]
    unread = [place for place in there if not _may(place, os.R_OK)]
    unwritten = [place for place in there if place not in unread and not _may(place, os.W_OK)]
    if unread:
        yield about("permissions", "problem", f"{count(len(unread), 'place')} cannot be read", unread)
    if unwritten:
        text = f"{count(len(unwritten), 'place')} cannot be written, so no run can be trained there"
        yield about("permissions", "problem", text, unwritten)
    tracker = _nearest(Path(LocalTrackingClient.DEFAULT_STORAGE_DIR).expanduser())
    if not _may(tracker, os.W_OK):
        text = f"Burr's tracker cannot write below {tracker}: give another storage_dir, or tracker=False"
        yield Finding("permissions", "problem", text, (str(tracker),))
    elif not unread and not unwritten:
        yield Finding("permissions", "fine", "all that is there can be read and written")


def file_system(path: Path) -> str | None:
    """The kind of the file system that a folder is on, ``None`` where the system does not say."""
    best, kind = "", None
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    real = os.path.realpath(path)
    for line in lines:
        before, _, after = line.partition(" - ")
        mounted = before.split()[4].encode().decode("unicode_escape")
        inside = real == mounted or real.startswith(f"{mounted.rstrip('/')}/")
        if inside and len(mounted) >= len(best):
            best, kind = mounted, after.split()[0]
    return kind


def _not_there(root: Path) -> Iterator[Finding]:
    above = _nearest(root)
    if not above.is_dir():
        yield Finding("storage", "problem", f"{root} cannot be made: {above} is no folder", (str(above),))
    elif _may(above, os.W_OK):
        yield Finding("storage", "note", f"{root} is not there yet; the first run makes it")
    else:
        yield Finding(
            "storage", "problem", f"{root} cannot be made: {above} cannot be written", (str(above),)
        )


def _nearest(path: Path) -> Path:
    """A path, or what of it is there."""
    return next(place for place in (path, *path.parents) if place.exists())


def _may(place: Path, how: int) -> bool:
    return os.access(place, how | (os.X_OK if place.is_dir() else 0))


def _sizes(root: Path) -> tuple[int, int, int]:
    """The largest checkpoint, the bytes of all files (of those that runs share, once), and how many runs."""
    seen: dict[tuple[int, int], int] = {}
    largest = 0
    for place, folders, names in os.walk(root):
        sharded = (Path(place, name) for name in folders if name.endswith(".ckpt"))
        largest = max([largest, *map(size_of, sharded)])
        for name in names:
            try:
                status = os.lstat(os.path.join(place, name))
            except OSError:
                continue
            seen[status.st_dev, status.st_ino] = status.st_size
            if name.endswith(".ckpt"):
                largest = max(largest, status.st_size)
    return largest, sum(seen.values()), len(list(root.glob("*/*/run.json")))
