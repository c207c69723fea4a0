"""What the machine has: memory of this process, memory and disk space that are free."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
# Limit, usage, and the part of the usage that is given up on demand; of cgroups version 2, then of version 1.
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
    """Return the memory that this process uses now, in bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def free_memory() -> int:
    """Return the memory that programs can still have without swapping, in bytes; a container's limit counts."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_free_in_container()])


def _free_in_container() -> list[int]:
    """Return what the memory limits of a container leave, in bytes; nothing where there is no limit."""
    found = []
    for limit, usage, statistics, cached in _MEMORY_FILES:
        # Not there on other systems, and not a number ("max") where nothing is limited.
        with suppress(OSError, ValueError):
            facts = dict(line.split() for line in (_CGROUPS / statistics).read_text().splitlines())
            used = int((_CGROUPS / usage).read_text()) - int(facts.get(cached, 0))
            found.append(max(int((_CGROUPS / limit).read_text()) - used, 0))
    return found


def free_disk(folder: Path) -> int:
    """Return the space that is free on the disk of a folder, in bytes.

    Args:
        folder: It need not be there yet.
    """
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
