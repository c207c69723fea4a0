"""Measure the memory of this process, and the free memory and disk space of the machine."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
# Limit, usage, statistics and the reclaimable part of the usage: of cgroups version 2, then of version 1.
_MEMORY_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def process_memory() -> int:
    """Return the resident memory of this process, in bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def free_memory() -> int:
    """Return the memory available without swapping, in bytes, within the limit of a container."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_free_in_container()])


def _free_in_container() -> list[int]:
    """Return what each memory limit of a container leaves, in bytes; empty without a limit."""
    found = []
    for limit, usage, statistics, cached in _MEMORY_FILES:
        # The files are missing on other systems, and hold "max" where nothing is limited.
        with suppress(OSError, ValueError):
            facts = dict(line.split() for line in (_CGROUPS / statistics).read_text().splitlines())
            used = int((_CGROUPS / usage).read_text()) - int(facts.get(cached, 0))
            found.append(max(int((_CGROUPS / limit).read_text()) - used, 0))
    return found


def free_disk(folder: Path) -> int:
    """Return the free space on the disk of a folder, in bytes. The folder need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
