"""Read the legacy PyTorch file format: right values, and no code from the file is executed."""

from __future__ import annotations

import builtins
import os
import pickle
import subprocess
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from transfer_core.backbones.published.torch_weights import read_state_dict
from transfer_core.errors import WeightsError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001


class Storage:
    """A run of numbers as the format keeps it: by a key in the pickle, with its numbers behind it."""

    def __init__(self, key: str, kind: str, values: np.ndarray) -> None:
        self.key = key
        self.kind = kind
        self.values = values


class Tensor:
    """A view into a storage that pickles as PyTorch's do."""

    def __init__(
        self, storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.arguments = (storage, offset, shape, stride, False, OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class Call:
    """Pickles as a function call, as in a malicious file."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function = function
        self.arguments = arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


@pytest.fixture(autouse=True)
def torch_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names for the pickler to refer to; PyTorch itself is not installed."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for kind in ("FloatStorage", "DoubleStorage", "HalfStorage", "LongStorage", "IntStorage", "ByteStorage"):
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def rebuild(*arguments: object) -> None:
        raise AssertionError("only its name is wanted")

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


@pytest.fixture
def storages() -> list[Storage]:
    return [
        Storage("a", "FloatStorage", np.arange(24, dtype="<f4") / 7),
        Storage("b", "LongStorage", np.array([2**40, -3], "<i8")),
        Storage("c", "HalfStorage", np.array([0.5, 1.5, -2.5], "<f2")),
    ]


@pytest.fixture
def weights_file(tmp_path: Path, storages: list[Storage]) -> Path:
    """Views of every kind into three storages."""
    first, second, third = storages
    tensors = {
        "contiguous": Tensor(first, 0, (2, 3, 4), (12, 4, 1)),
        "transposed": Tensor(first, 0, (4, 6), (1, 4)),
        "every_other": Tensor(first, 1, (5,), (2,)),
        "at_the_end": Tensor(first, 20, (2, 2), (2, 1)),
        "counts": Tensor(second, 0, (2,), (1,)),
        "scalar": Tensor(second, 1, (), ()),
        "half": Tensor(third, 0, (3,), (1,)),
    }
    return write_file(tmp_path / "weights.pth", tensors, storages)


def write_file(
    path: Path,
    tensors: Any,
    storages: list[Storage],
    magic_number: Any = MAGIC_NUMBER,
    protocol_version: Any = PROTOCOL_VERSION,
    system_facts: Any = None,
    keys: Any = None,
) -> Path:
    """Write the five pickles and the numbers behind them."""
    if isinstance(tensors, dict):
        tensors = OrderedDict(tensors)
        tensors._metadata = OrderedDict(version=1)
    keys = [storage.key for storage in storages] if keys is None else keys
    system_facts = {"little_endian": True} if system_facts is None else system_facts
    with path.open("wb") as file:
        for part in (magic_number, protocol_version, system_facts, tensors, keys):
            pickler = pickle.Pickler(file, protocol=2)
            pickler.persistent_id = persistent_id
            pickler.dump(part)
        for storage in storages:
            file.write(len(storage.values).to_bytes(8, "little") + storage.values.tobytes())
    return path


def persistent_id(thing: object) -> tuple[Any, ...] | None:
    if not isinstance(thing, Storage):
        return None
    kind = getattr(sys.modules["torch"], thing.kind)
    return "storage", kind, thing.key, "cpu", len(thing.values), None


def test_views_of_every_kind_come_back(weights_file: Path, storages: list[Storage]) -> None:
    numbers = storages[0].values
    expected = {
        "contiguous": numbers.reshape(2, 3, 4),
        "transposed": numbers.reshape(6, 4).T,
        "every_other": numbers[1:11:2],
        "at_the_end": numbers[20:].reshape(2, 2),
        "counts": storages[1].values,
        "scalar": np.array(-3),
        "half": storages[2].values,
    }
    found = read_state_dict(weights_file)
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert found["contiguous"].dtype == np.float32
    assert found["half"].dtype == np.float16
    assert found["counts"].dtype == np.int64


def test_arrays_can_be_changed_without_changing_each_other(weights_file: Path) -> None:
    found = read_state_dict(weights_file)
    before = found["transposed"].copy()
    found["contiguous"][:] = 0
    np.testing.assert_array_equal(found["transposed"], before)


@pytest.mark.parametrize("place", ["magic_number", "protocol_version", "system_facts", "tensors", "keys"])
@pytest.mark.parametrize(
    "function", [os.system, builtins.eval, subprocess.Popen, Counter], ids=lambda f: f.__name__
)
def test_foreign_names_are_refused_and_nothing_is_run(
    place: str,
    function: Callable[..., Any],
    tmp_path: Path,
    storages: list[Storage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace = tmp_path / "was-here"
    argument = f"open({str(trace)!r}, 'w')" if function is builtins.eval else f"touch {trace}"
    parts = {"tensors": {}, place: Call(function, argument)}
    path = write_file(tmp_path / "hostile.pth", parts.pop("tensors"), storages, **parts)
    with pytest.raises(WeightsError, match=r"hostile\.pth.* has no place in a weights file"):
        read_state_dict(path)
    assert not trace.exists()


def test_storages_of_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    storage = Storage("a", "ByteStorage", np.zeros(4, np.uint8))
    path = write_file(tmp_path / "w.pth", {"bytes": Tensor(storage, 0, (4,), (1,))}, [storage])
    with pytest.raises(WeightsError, match=r"torch\.ByteStorage"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [
        (0, (25,), (1,)),
        (20, (5,), (1,)),
        (0, (2, 2), (1, 23)),
        (0, (5,), (-1,)),
        (-1, (2,), (1,)),
        (0, (99,), (0,)),
    ],
)
def test_views_beyond_their_storage_are_refused(
    offset: int, shape: tuple[int, ...], stride: tuple[int, ...], tmp_path: Path, storages: list[Storage]
) -> None:
    tensors = {"view": Tensor(storages[0], offset, shape, stride)}
    path = write_file(tmp_path / "w.pth", tensors, storages[:1])
    with pytest.raises(WeightsError, match="reaches beyond its numbers"):
        read_state_dict(path)


def test_cut_off_anywhere_is_refused(weights_file: Path, tmp_path: Path) -> None:
    content = weights_file.read_bytes()
    for length in range(len(content)):
        weights_file.write_bytes(content[:length])
        with pytest.raises(WeightsError):
            read_state_dict(weights_file)


def test_changed_bytes_give_numbers_or_the_error(weights_file: Path) -> None:
    content = weights_file.read_bytes()
    for place in range(len(content)):
        for value in (0, 0x2E, 0x7F, 0xFF):
            changed = bytearray(content)
            changed[place] = value
            weights_file.write_bytes(changed)
            try:
                found = read_state_dict(weights_file)
            except WeightsError:
                continue
            assert all(isinstance(array, np.ndarray) for array in found.values())


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.pth.*Install the requirements again"):
        read_state_dict(tmp_path / "nowhere.pth")


def test_wrong_magic_number(tmp_path: Path, storages: list[Storage]) -> None:
    path = write_file(tmp_path / "w.pth", {}, storages, magic_number=MAGIC_NUMBER + 1)
    with pytest.raises(WeightsError, match="not a PyTorch file of the older kind"):
        read_state_dict(path)


def test_wrong_protocol_version(tmp_path: Path, storages: list[Storage]) -> None:
    path = write_file(tmp_path / "w.pth", {}, storages, protocol_version=1002)
    with pytest.raises(WeightsError, match="unknown protocol version"):
        read_state_dict(path)


def test_other_length_than_announced(tmp_path: Path, storages: list[Storage]) -> None:
    short = Storage("a", "FloatStorage", storages[0].values[:4])
    path = write_file(tmp_path / "w.pth", {"view": Tensor(storages[0], 0, (4,), (1,))}, [short])
    with pytest.raises(WeightsError, match="another length"):
        read_state_dict(path)
