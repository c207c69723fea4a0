"""Read Keras weights files (HDF5) safely: plain arrays only, validated against a network before they are read.

Nothing in the file is executed. Links and external storage are rejected, and no array is read before its shape
matches.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from transfer_core.errors import WeightsError
from transfer_core.files import check_shortage
from transfer_core.language import _
from transfer_core.types import Array

if TYPE_CHECKING:
    import h5py
    import keras

Arrays = dict[str, list[Array]]

# Raised by reading truncated or modified files.
_DAMAGE = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, MemoryError)
# Weights by the end of their names; older files have other prefixes.
_KINDS = ("kernel", "bias", "gamma", "beta", "mean", "variance", "count")
_MOST_LAYERS = 10_000


@dataclass(frozen=True)
class _Stored:
    """The weights of one layer in a file, not read yet."""

    layer: str
    names: list[str]
    arrays: list[h5py.Dataset]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [tuple(array.shape) for array in self.arrays]


def read_weights(content: Path | BinaryIO, model: keras.Model, name: str) -> Arrays:
    """Return the arrays of a Keras weights file (`.h5` or `.weights.h5`) for each layer of a network.

    Weights of later layers, such as a classifier, are ignored. Layers are matched by name or, if the file has
    other names, in order, as Keras does.

    Args:
        content: The file.
        model: The network; its present weights do not matter.
        name: Of the file, for messages.

    Returns:
        Arrays of float32 by the name of the layer, in the order of its weights.

    Raises:
        WeightsError: If the file is missing, damaged, or of another network.
    """
    import h5py

    try:
        with h5py.File(content, "r") as file:
            stored = [layer for layer in _stored_layers(file, model) if layer.arrays]
            return _fit(stored, model, name)
    except _DAMAGE as error:
        check_shortage(error)
        raise WeightsError(
            _(
                "The weights file {file} cannot be read ({reason}). Expected was a whole weights file of Keras "
                "(.h5). Get the file again."
            ).format(file=name, reason=error)
        ) from error


def set_weights(model: keras.Model, arrays: Arrays) -> None:
    """Set the weights of a network to what `read_weights` returned for it."""
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(arrays[layer.name])


def _stored_layers(file: h5py.File, model: keras.Model) -> Iterator[_Stored]:
    if "layers" in file and "layer_names" not in file.attrs:
        yield from _stored_by_class(file, model)
        return
    root = _member(file, "model_weights") if "model_weights" in file else file
    layer_names = [_text(name) for name in root.attrs.get("layer_names", [])]
    if not layer_names:
        raise ValueError(_("it does not list its layers"))
    for layer_name in layer_names[:_MOST_LAYERS]:
        group = _member(root, layer_name)
        names = [_text(name) for name in group.attrs["weight_names"]]
        yield _Stored(layer_name, names, [_array(group, name) for name in names])


def _stored_by_class(file: h5py.File, model: keras.Model) -> Iterator[_Stored]:
    """Read the format of Keras 3's `save_weights`: layers by class and number within the class."""
    for layer, place in _places_of(model):
        if layer.weights and place in _member(file, "layers"):
            arrays = _arrays_of(_member(file, f"layers/{place}"), layer)
            yield _Stored(layer.name, [str(number) for number in range(len(arrays))], arrays)


def _places_of(model: Any) -> Iterator[tuple[Any, str]]:
    counts: Counter[str] = Counter()
    for layer in model.layers:
        kind = _snake_case(type(layer).__name__)
        yield layer, f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1


def _arrays_of(group: h5py.Group, layer: Any) -> list[h5py.Dataset]:
    if hasattr(layer, "layers"):
        # A composite layer, such as the stem of ConvNeXt, holds the weights of its layers in order.
        return [
            array
            for part, place in _places_of(layer)
            if part.weights
            for array in _arrays_of(_member(group, f"layers/{place}"), part)
        ]
    found = _member(group, "vars")
    return [_array(found, str(number)) for number in range(min(len(found), len(layer.weights) + 1))]


def _snake_case(class_name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", class_name).lower()


def _member(group: h5py.Group, path: str) -> h5py.Group:
    """Return the member at a path; raise if a link leads elsewhere."""
    import h5py

    for part in path.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(_("{name} does not lie in it").format(name=path[:60]))
        group = group[part]
    return group


def _array(group: h5py.Group, name: str) -> h5py.Dataset:
    import h5py

    array = _member(group, name)
    if not isinstance(array, h5py.Dataset) or array.is_virtual or array.external:
        raise ValueError(_("{name} does not lie in it").format(name=name[:60]))
    if array.dtype.kind not in "fiu":
        raise ValueError(_("{name} holds no numbers").format(name=name[:60]))
    return array


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _fit(stored: list[_Stored], model: keras.Model, file_name: str) -> Arrays:
    layers = [layer for layer in model.layers if layer.weights]
    by_name = {layer.layer: layer for layer in stored}
    if all(layer.name in by_name for layer in layers):
        pairs = [(layer, by_name[layer.name]) for layer in layers]
    else:
        pairs = list(zip(layers, stored, strict=False))
    misfit = next((pair for pair in pairs if not _fits(*pair)), None)
    if misfit or len(pairs) < len(layers):
        raise WeightsError(_misfit_message(file_name, layers, len(stored), misfit))
    arrays = {
        layer.name: [np.asarray(array[()], np.float32) for array in found.arrays] for layer, found in pairs
    }
    name = next(
        (name for name, ours in arrays.items() if not all(np.isfinite(one).all() for one in ours)), None
    )
    if name is not None:
        raise ValueError(_("its layer {name} holds infinity or NaN").format(name=name))
    return arrays


def _fits(layer: Any, found: _Stored) -> bool:
    shapes = [tuple(weight.shape) for weight in layer.weights]
    if found.shapes != shapes:
        return False
    kinds = [
        (_kind(weight.name), _kind(name)) for weight, name in zip(layer.weights, found.names, strict=True)
    ]
    return all(expected == given or not (expected and given) for expected, given in kinds)


def _kind(name: str) -> str:
    plain = name.split("/")[-1].split(":")[0]
    return next((kind for kind in _KINDS if plain.endswith(kind)), "")


def _misfit_message(
    file_name: str, layers: list[Any], num_found: int, misfit: tuple[Any, _Stored] | None
) -> str:
    if misfit is None:
        return _(
            "The weights file {file} is of another network: it has {found} layers with weights, and {expected} were "
            "expected. Pick the model that the file belongs to."
        ).format(file=file_name, found=num_found, expected=len(layers))
    layer, found = misfit
    return _(
        "The weights file {file} is of another network: its layer {theirs} has weights of the shapes {found}, and "
        "{ours} expects {expected}. Pick the model that the file belongs to."
    ).format(
        file=file_name,
        theirs=found.layer[:60],
        found=_shape_words(found.shapes),
        ours=layer.name,
        expected=_shape_words([tuple(weight.shape) for weight in layer.weights]),
    )


def _shape_words(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("×".join(map(str, shape)) or "1" for shape in shapes[:6])
