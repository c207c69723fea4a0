"""Read a PyTorch state_dict without PyTorch and without executing code from the file.

The format is that of `torch.save` before version 1.6: five pickles in a row (magic number, protocol version,
system facts, the state_dict, the storage keys), then for each storage an int64 length and the raw values. The
unpickler admits the four names that such a file needs and rejects all others.
"""

import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from transfer_core.errors import WeightsError
from transfer_core.files import check_shortage
from transfer_core.language import _
from transfer_core.types import Array

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_STORAGE_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}
# Raised on modified files (found by changing each byte in turn).
_DAMAGE = (OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, OverflowError, MemoryError)


class _StateDict(OrderedDict[str, Any]):
    """A dict that may carry attributes, as the pickled `_metadata` needs."""


class _Storage:
    """A flat array, filled after the pickles have been read."""

    def __init__(self, dtype: np.dtype[Any], length: int) -> None:
        self.dtype = dtype
        self.length = length
        self.values: Array = np.empty(0, dtype)


class _LazyTensor:
    """A view into a storage that has not been read yet."""

    def __init__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self._storage = storage
        self._offset = offset
        self._shape = shape
        self._stride = stride

    def to_array(self) -> Array:
        values = self._storage.values[self._offset :]
        # as_strided checks no bounds and would read memory behind the storage.
        end = 1 + sum((size - 1) * step for size, step in zip(self._shape, self._stride, strict=True))
        is_negative = min((self._offset, *self._shape, *self._stride)) < 0
        if is_negative or max(end, math.prod(self._shape)) > len(values):
            raise ValueError("a tensor reaches beyond its numbers")
        byte_strides = tuple(step * values.itemsize for step in self._stride)
        return np.lib.stride_tricks.as_strided(values, self._shape, byte_strides).copy()


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_unused: object
) -> _LazyTensor:
    return _LazyTensor(storage, offset, shape, stride)


class _StateDictUnpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _StateDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a weights file")

    def persistent_load(self, pid: Any) -> _Storage:
        _kind, dtype, key, _device, length, _view = pid
        return self.storages.setdefault(key, _Storage(dtype, length))


def read_state_dict(path: Path) -> dict[str, Array]:
    """Return the tensors of a legacy PyTorch state_dict file (`.pth`) as NumPy arrays, by name.

    Raises:
        WeightsError: If the file is missing, truncated, or holds anything but plain tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except (*_DAMAGE, pickle.UnpicklingError) as error:
        check_shortage(error)
        raise WeightsError(
            _(
                "The weights file {file} cannot be read ({reason}). Expected were the pretrained weights as they "
                "come with the package. Install the requirements again."
            ).format(file=path.name, reason=error)
        ) from error


def _read(file: BinaryIO) -> dict[str, Array]:
    header = _StateDictUnpickler(file)
    if header.load() != _MAGIC_NUMBER:
        raise ValueError("not a PyTorch file of the older kind")
    if _StateDictUnpickler(file).load() != _PROTOCOL_VERSION:
        raise ValueError("an unknown protocol version")
    _StateDictUnpickler(file).load()
    unpickler = _StateDictUnpickler(file)
    tensors = unpickler.load()
    for key in _StateDictUnpickler(file).load():
        storage = unpickler.storages[key]
        length = int(np.frombuffer(file.read(8), "<i8")[0])
        if length != storage.length:
            raise ValueError("a tensor has another length than the file says")
        storage.values = np.frombuffer(
            file.read(length * storage.dtype.itemsize), storage.dtype, count=length
        )
    return {name: tensor.to_array() for name, tensor in tensors.items()}
