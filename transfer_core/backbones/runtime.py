"""Bring TensorFlow and Keras into the process, once, with settings that leave room for the pages."""

import ctypes
import gc
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from transfer_core.data.parallel import num_usable_cores

_UNBUFFERED = 2

_lock = threading.Lock()
_loaded = threading.Event()


def load_keras(num_threads: int | None = None) -> None:
    """Import TensorFlow and Keras. Later calls return at once, and a call during the import waits for it.

    Args:
        num_threads: Cores that TensorFlow may use, all usable ones if not given. An app that has to answer while
            it trains leaves one free.
    """
    with _lock:
        if _loaded.is_set():
            return
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _without_start_up_notes():
            import keras  # noqa: F401  (the import is the work)
            import tensorflow as tf

        # Each run makes its functions again, and Python may give a new one the id of one that is gone:
        # TensorFlow then warns of one function that is traced over and over.
        logging.getLogger("tensorflow").addFilter(
            lambda record: "tf.function retracing" not in record.getMessage()
        )
        usable = num_usable_cores()
        # TensorFlow knows nothing of a container's quota.
        if num_threads is not None or usable < (os.cpu_count() or 1):
            tf.config.threading.set_intra_op_parallelism_threads(num_threads or usable)
            tf.config.threading.set_inter_op_parallelism_threads(num_threads or usable)
        # Half a million objects that live for ever: out of every later collection.
        gc.collect()
        gc.freeze()
        _loaded.set()


@contextmanager
def _without_start_up_notes() -> Iterator[None]:
    """Keep TensorFlow's notes about a missing GPU out of the log; everything else still gets there.

    Its libraries write them while they are loaded, before any setting counts, through the C library's `stderr`. So
    this stream alone gets another file meanwhile: descriptor 2, which Python and its threads write to, stays.
    """
    stream = _c_stderr()
    if stream is None:
        yield
        return
    library = ctypes.CDLL(None)
    library.fdopen.restype = ctypes.c_void_p
    with tempfile.TemporaryFile() as written:
        descriptor = os.dup(written.fileno())
        original, stream.value = stream.value, library.fdopen(descriptor, b"a")
        library.setvbuf(stream, None, _UNBUFFERED, 0)
        try:
            yield
        finally:
            stream.value = original
            # A library may have kept the other stream: what it writes later on gets to the log.
            os.dup2(2, descriptor)
            written.seek(0)
            for line in written:
                if not line.startswith((b"I0000 ", b"WARNING: All log messages before absl")):
                    os.write(2, line)


def _c_stderr() -> ctypes.c_void_p | None:
    """Return the C library's variable `stderr`; None where it cannot be set. There are no notes on macOS."""
    if sys.platform != "linux":
        return None
    try:
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    except ValueError:
        return None
