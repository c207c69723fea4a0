"""Import TensorFlow and Keras once per process, with a thread count that keeps the pages responsive."""

import ctypes
import gc
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transfer_core.data.parallel import num_usable_cores

_UNBUFFERED = 2

_lock = threading.Lock()
_loaded = threading.Event()


def load_keras(num_threads: int | None = None, num_gpus: int | None = None) -> None:
    """Import TensorFlow and Keras. Later calls return at once; a call during the import waits for it.

    Where a GPU is used, operations are deterministic: a training that is repeated or resumed there gives the same bits.

    Args:
        num_threads: Threads of TensorFlow; all usable cores if not given. The app leaves one core to its pages.
        num_gpus: GPUs that TensorFlow may use, the first of those in CUDA_VISIBLE_DEVICES; all of them if not given.
    """
    with _lock:
        if _loaded.is_set():
            return
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _without_gpu_warnings():
            import keras  # noqa: F401  (the import is the work)
            import tensorflow as tf

            _set_up_gpus(tf.config, num_gpus)

        # Each run creates its functions again. Python may reuse the id of a deleted one, and TensorFlow then
        # warns that a function is traced too often.
        logging.getLogger("tensorflow").addFilter(
            lambda record: "tf.function retracing" not in record.getMessage()
        )
        usable = num_usable_cores()
        # TensorFlow ignores a container's CPU quota.
        if num_threads is not None or usable < (os.cpu_count() or 1):
            tf.config.threading.set_intra_op_parallelism_threads(num_threads or usable)
            tf.config.threading.set_inter_op_parallelism_threads(num_threads or usable)
        # The import leaves half a million permanent objects; freezing them spares every later collection.
        gc.collect()
        gc.freeze()
        _loaded.set()


def _set_up_gpus(config: Any, num_gpus: int | None) -> None:
    gpus = config.list_physical_devices("GPU")[:num_gpus]
    if num_gpus is not None:
        config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        # Otherwise one process takes all of a GPU's memory.
        config.experimental.set_memory_growth(gpu, True)
    if gpus:
        config.experimental.enable_op_determinism()


def gpu_details() -> dict[str, Any]:
    """Return TensorFlow's facts about the GPU that trainings use: `device_name`, and `compute_capability` of NVIDIA's.

    Loads TensorFlow. Empty without a GPU.
    """
    load_keras()
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    return {"device_name": "", **tf.config.experimental.get_device_details(gpus[0])} if gpus else {}


def is_keras_loaded() -> bool:
    """Return whether `load_keras` would return at once."""
    return _loaded.is_set()


@contextmanager
def _without_gpu_warnings() -> Iterator[None]:
    """Filter TensorFlow's messages about a missing GPU out of the log.

    Its libraries write them to the C library's `stderr` while they are loaded, before any log setting applies. So
    this stream alone is redirected during the import; descriptor 2, which Python writes to, is not.
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
            # A library may have kept the redirected stream; its later output must reach the log.
            os.dup2(2, descriptor)
            written.seek(0)
            for line in written:
                if not line.startswith((b"I0000 ", b"WARNING: All log messages before absl")):
                    os.write(2, line)


def _c_stderr() -> ctypes.c_void_p | None:
    """Return the C library's variable `stderr`; None where it cannot be set (macOS has no such messages)."""
    if sys.platform != "linux":
        return None
    try:
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    except ValueError:
        return None
