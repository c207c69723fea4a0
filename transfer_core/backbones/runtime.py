"""Bring TensorFlow and Keras into the process, once, with settings that leave room for the pages."""

import gc
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_loaded = threading.Event()


def load_keras(num_threads: int | None = None) -> None:
    """Import TensorFlow and Keras. Later calls return at once, and a call during the import waits for it.

    Args:
        num_threads: Cores that TensorFlow may use, all of them if not given. An app that has to answer while
            it trains leaves one free.
    """
    with _lock:
        if _loaded.is_set():
            return
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _without_start_up_notes():
            import keras  # noqa: F401  (the import is the work)
            import tensorflow as tf

        # Each run makes its functions anew, and Python may give a new one the id of one that is gone:
        # TensorFlow then warns of one function that is traced over and over.
        logging.getLogger("tensorflow").addFilter(
            lambda record: "tf.function retracing" not in record.getMessage()
        )
        if num_threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(num_threads)
            tf.config.threading.set_inter_op_parallelism_threads(num_threads)
        # Half a million objects that live for ever: out of every later collection.
        gc.collect()
        gc.freeze()
        _loaded.set()


@contextmanager
def _without_start_up_notes() -> Iterator[None]:
    """Keep TensorFlow's notes about a missing GPU out of the log; everything else still gets there.

    They are written by its C++ part before any of its log settings count.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            written.seek(0)
            for line in written:
                if not line.startswith((b"I0000 ", b"WARNING: All log messages before absl")):
                    os.write(2, line)
