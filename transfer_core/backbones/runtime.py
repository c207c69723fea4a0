"""Bring TensorFlow and Keras into the process, once, with settings that leave room for the pages."""

import gc
import os
import threading

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
        # TensorFlow's start-up notes (CPU features, missing GPU) say nothing to a person.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        if num_threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(num_threads)
            tf.config.threading.set_inter_op_parallelism_threads(num_threads)
        import keras  # noqa: F401  (the import is the work)

        # Half a million objects that live for ever: out of every later collection.
        gc.collect()
        gc.freeze()
        _loaded.set()


def is_keras_loaded() -> bool:
    """Whether training can start without a wait."""
    return _loaded.is_set()
