"""Free memory of the system, within the limit of a container."""

from pathlib import Path

import psutil
import pytest

from transfer_core.training import machine

MEGABYTE = 10**6


def test_without_a_limit_it_is_that_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("5000000\n")
    (tmp_path / "memory.stat").write_text("inactive_file 1000000\n")
    assert machine.free_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.5)


@pytest.mark.parametrize(
    ("limit", "usage", "statistics", "cached"),
    [
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ],
    ids=["version 2", "version 1"],
)
def test_the_limit_of_a_container_counts_and_its_cached_files_do_not(
    limit: str, usage: str, statistics: str, cached: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    (tmp_path / "memory").mkdir()
    (tmp_path / limit).write_text(f"{50 * MEGABYTE}\n")
    (tmp_path / usage).write_text(f"{30 * MEGABYTE}\n")
    (tmp_path / statistics).write_text(f"anon 1\n{cached} {20 * MEGABYTE}\nactive_file 5\n")
    assert machine.free_memory() == 40 * MEGABYTE
