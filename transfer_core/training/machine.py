"""What the machine has: memory of this process, memory and disk space that are free."""

from __future__ import annotations

import shutil
from pathlib import Path


def process_memory() -> int:
    """Return the memory that this process uses now, in bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def free_memory() -> int:
    """Return the memory that programs can still have without swapping, in bytes."""
    import psutil

    return int(psutil.virtual_memory().available)


def free_disk(folder: Path) -> int:
    """Return the space that is free on the disk of a folder, in bytes.

    Args:
        folder: It need not be there yet.
    """
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
