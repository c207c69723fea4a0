"""Bringing TensorFlow into the process, in processes of their own: with the real one once, else with stand-ins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NOTES = (
    "I0000 00:00 port.cc:153] oneDNN custom operations are on.\nWARNING: All log messages before absl::Init"
)
OTHERS = "W0000 something is wrong with the disk\na line of another library"
STAND_IN_KERAS = f"""
import ctypes, os, time
library = ctypes.CDLL(None)
library.fputs({(NOTES + chr(10) + OTHERS + chr(10)).encode()!r}, ctypes.c_void_p.in_dll(library, "stderr"))
time.sleep(float(os.environ.get("IMPORT_SECONDS", 0)))
if "IMPORT_FAILS" in os.environ:
    raise ImportError("the stand-in cannot be loaded")
"""
STAND_IN_TENSORFLOW = """
import os
class threading:
    set_intra_op_parallelism_threads = staticmethod(lambda count: print("intra", count))
    set_inter_op_parallelism_threads = staticmethod(lambda count: print("inter", count))
class experimental:
    set_memory_growth = staticmethod(lambda gpu, enable: print("growth", gpu, enable))
    enable_op_determinism = staticmethod(lambda: print("determinism"))
class config:
    threading = threading
    experimental = experimental
    list_physical_devices = staticmethod(lambda kind: os.environ.get("STAND_IN_GPUS", "").split())
    set_visible_devices = staticmethod(lambda gpus, kind: print("visible", gpus, kind))
"""
WRITE_MEANWHILE = """
import os, sys, threading
from transfer_core.backbones.runtime import load_keras

is_loaded = threading.Event()

def write_lines():
    while not is_loaded.wait(0.01):
        os.write(2, b"a line of another thread\\n")

writing = threading.Thread(target=write_lines)
writing.start()
load_keras()
is_loaded.set()
writing.join()
os.write(2, b"after\\n")
"""
REAL = """
import time
from transfer_core.backbones.runtime import load_keras
load_keras(num_threads=1)
started_at = time.perf_counter()
load_keras(num_threads=7)
assert time.perf_counter() - started_at < 0.01
import tensorflow as tf
print(tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads())
print(float(tf.reduce_sum(tf.ones(3))))
"""


def run(code: str, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new Python; `path` holds modules that are found before the installed ones."""
    search_path = os.pathsep.join(str(folder) for folder in (path, ROOT) if folder)
    environment = {**os.environ, "PYTHONPATH": search_path, **environment}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )


in_c_stream = pytest.mark.skipif(
    sys.platform != "linux", reason="the warnings are printed and hidden on Linux alone"
)


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    (tmp_path / "keras.py").write_text(STAND_IN_KERAS)
    (tmp_path / "tensorflow.py").write_text(STAND_IN_TENSORFLOW)
    return tmp_path


def test_real_import_is_silent_keeps_to_its_threads_and_happens_once() -> None:
    finished = run(REAL)
    assert finished.stdout.split() == ["1", "1", "3.0"], finished
    assert finished.stderr == ""


@in_c_stream
def test_gpu_warnings_are_hidden_and_other_lines_survive(stand_ins: Path) -> None:
    code = "import os; from transfer_core.backbones.runtime import load_keras; load_keras(); os.write(2, b'after')"
    finished = run(code, stand_ins)
    assert finished.returncode == 0, finished
    assert finished.stderr == f"{OTHERS}\nafter"


@in_c_stream
def test_failed_import_keeps_its_traceback_and_leaves_stderr_as_it_was(stand_ins: Path) -> None:
    finished = run(
        "from transfer_core.backbones.runtime import load_keras; load_keras()", stand_ins, IMPORT_FAILS="1"
    )
    assert finished.returncode == 1
    assert finished.stderr.startswith(OTHERS)
    assert finished.stderr.endswith("ImportError: the stand-in cannot be loaded\n")
    assert "I0000" not in finished.stderr


@pytest.mark.parametrize("ending", ["", "import os; os._exit(1)"], ids=["loaded", "dies"])
def test_lines_of_other_threads_arrive_at_once_and_in_order(ending: str, stand_ins: Path) -> None:
    """What a thread writes during the import arrives before it ends, even if the process dies in it."""
    with (stand_ins / "keras.py").open("a") as stand_in:
        stand_in.write(f"os.write(2, b'end of the import\\n')\n{ending}\n")
    finished = run(WRITE_MEANWHILE, stand_ins, IMPORT_SECONDS="0.2")
    lines = finished.stderr.splitlines()
    place = lines.index("end of the import")
    assert lines[:place].count("a line of another thread") > 2, finished
    assert (lines[-1] == "after") == (not ending)


@in_c_stream
def test_later_output_to_the_redirected_stream_reaches_the_log(stand_ins: Path) -> None:
    with (stand_ins / "keras.py").open("a") as stand_in:
        stand_in.write("kept = ctypes.c_void_p(ctypes.c_void_p.in_dll(library, 'stderr').value)\n")
    code = """
from transfer_core.backbones.runtime import load_keras
load_keras()
import keras
keras.library.fputs(b"later\\n", keras.kept)
"""
    assert run(code, stand_ins).stderr == f"{OTHERS}\nlater\n"


def test_a_quota_of_the_container_limits_the_threads(stand_ins: Path) -> None:
    code = "import os; os.cpu_count = lambda: 64; from transfer_core.backbones.runtime import load_keras; load_keras()"
    finished = run(code, stand_ins, LOKY_MAX_CPU_COUNT="1")
    assert finished.stdout.splitlines() == ["intra 1", "inter 1"], finished


def test_number_of_threads_is_unchanged_unless_given(stand_ins: Path) -> None:
    code = "from transfer_core.backbones.runtime import load_keras; load_keras({})"
    assert run(code.format(""), stand_ins).stdout == ""
    assert run(code.format("num_threads=3"), stand_ins).stdout.splitlines() == ["intra 3", "inter 3"]


@pytest.mark.parametrize(
    ("num_gpus", "lines"),
    [
        ("", ["growth a True", "growth b True", "determinism"]),
        ("num_gpus=1", ["visible ['a'] GPU", "growth a True", "determinism"]),
        ("num_gpus=0", ["visible [] GPU"]),
    ],
)
def test_only_its_own_gpus_are_used_with_the_memory_they_need(
    num_gpus: str, lines: list[str], stand_ins: Path
) -> None:
    code = f"from transfer_core.backbones.runtime import load_keras; load_keras({num_gpus})"
    assert run(code, stand_ins, STAND_IN_GPUS="a b").stdout.splitlines() == lines


def test_call_during_the_import_waits_for_it(stand_ins: Path) -> None:
    code = """
import threading
from transfer_core.backbones import runtime
first = threading.Thread(target=runtime.load_keras)
first.start()
while not runtime._lock.locked() and not runtime._loaded.is_set():
    pass
print(runtime._loaded.is_set())
runtime.load_keras()
print(runtime._loaded.is_set())
"""
    finished = run(code, stand_ins, IMPORT_SECONDS="0.5")
    assert finished.stdout.split() == ["False", "True"], finished


def test_engine_loads_without_tensorflow() -> None:
    code = (
        "import sys, transfer_core.__main__; print({'keras', 'tensorflow', 'streamlit'} & sys.modules.keys())"
    )
    assert run(code).stdout.strip() == "set()"
