"""The memory of a server for many people."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Twelve threads allocate at the same time; the C library then lists its arenas.
COUNT_ARENAS = """
import ctypes, sys, threading
from pages.ui.server.sessions import share_few_arenas

library = ctypes.CDLL(None)
library.malloc.restype = library.fopen.restype = ctypes.c_void_p
if sys.argv[2] == "few":
    share_few_arenas()
together = threading.Barrier(12)

def allocate():
    together.wait()
    library.malloc(ctypes.c_size_t(1_000))
    together.wait()

threads = [threading.Thread(target=allocate) for _number in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = ctypes.c_void_p(library.fopen(sys.argv[1].encode(), b"w"))
library.malloc_info(0, file)
library.fclose(file)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="arenas are a matter of the GNU C library")
def test_threads_share_few_arenas(tmp_path: Path) -> None:
    def num_arenas(choice: str) -> int:
        listing = tmp_path / choice
        subprocess.run([sys.executable, "-c", COUNT_ARENAS, str(listing), choice], cwd=ROOT, check=True)
        return listing.read_text().count("<heap nr=")

    assert num_arenas("few") <= 2
    assert num_arenas("many") > 2
