"""Read the facts of published backbones off their networks: `python -m tools.read_backbone_facts [NAME ...]`.

Each record in transfer_core/backbones/published/backbones.json names its blocks and the layers that end them. This
command builds the networks (all of them take some minutes), fills in the sizes and counts of every block, and for
networks of `keras.applications` the weights files that Keras would download. A record whose blocks are listed as
`{"name": ..., "last_layer": ...}` is complete afterwards.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from transfer_core.backbones.backbone import Block
from transfer_core.backbones.registry import RECORDS_FILE, architecture_of
from transfer_core.backbones.runtime import load_keras
from transfer_core.training.layer_facts import cuts

if TYPE_CHECKING:
    import keras

Record = dict[str, Any]


def main() -> None:
    """Fill in the records that are named on the command line, or all, and write them back."""
    load_keras()
    records: dict[str, Record] = json.loads(RECORDS_FILE.read_text("utf-8"))
    for name in sys.argv[1:] or records:
        record = records[name]
        last_layers = {block["name"]: block["last_layer"] for block in record["blocks"]}
        model = architecture_of(name, record)()
        num_views = 2 if record["options"].get("is_mirrored") else 1
        record["blocks"] = [asdict(block) for block in read_blocks(model, last_layers, num_views)]
        if "files" in record["weights"]:
            class_name = record["options"]["class_name"]
            record["weights"]["files"] = [_published_file(class_name, top) for top in (False, True)]
        print(name, model.count_params(), list(last_layers), flush=True)
    RECORDS_FILE.write_text(as_json(records), "utf-8")


def read_blocks(model: keras.Model, last_layers: dict[str, str], num_views: int = 1) -> list[Block]:
    """Count what the blocks of a network hold.

    Args:
        model: A flat functional model.
        last_layers: The layer that ends each block, by the name of the block, from input to output.
        num_views: How many views of a photo its layers see.

    Raises:
        ValueError: If a block ends where the network cannot be cut, or layers are left over at the end.
    """
    import keras

    possible = [layer.name for layer, is_cut in zip(model.layers, cuts(model), strict=True) if is_cut]
    wrong = [name for name in last_layers.values() if name not in possible]
    if wrong or list(last_layers.values())[-1:] != [model.layers[-1].name]:
        raise ValueError(
            f"{model.name} can be cut behind {possible}; the last must end it. Not behind {wrong}."
        )
    seen: set[str] = set()
    blocks = []
    for name, last_layer in last_layers.items():
        last = model.get_layer(last_layer)
        layers = [layer for layer in keras.Model(model.input, last.output).layers if layer.name not in seen]
        seen.update(layer.name for layer in layers)
        blocks.append(_block(name, last, layers, num_views))
    return blocks


def _block(name: str, last: Any, layers: list[Any], num_views: int) -> Block:
    import keras

    _batch, size, _size, num_channels = last.output.shape
    normalizations = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    from_scratch = sum(_count(layer.trainable_weights) for layer in layers)
    return Block(
        name=name,
        last_layer=last.name,
        output_size=size,
        num_channels=num_channels,
        num_parameters=sum(layer.count_params() for layer in layers),
        num_trainable_parameters=from_scratch
        - sum(_count(layer.trainable_weights) for layer in normalizations),
        num_scratch_parameters=from_scratch,
        num_multiplications=num_views * sum(map(_multiplications, layers)),
    )


def _count(weights: list[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _multiplications(layer: Any) -> int:
    """Count one multiplication for each number of a kernel at each place of the map that leaves the layer."""
    inner = getattr(layer, "layers", None)
    if inner:
        return sum(map(_multiplications, inner))
    num_places = int(math.prod(layer.output.shape[1:-1]))
    return num_places * _count([weight for weight in layer.weights if len(weight.shape) > 1])


def _published_file(class_name: str, include_top: bool) -> dict[str, str]:
    """Return name, address and checksum of the file that Keras would download for ImageNet weights."""
    import keras
    from keras.src.utils import file_utils

    requested: dict[str, str] = {}

    def record_request(fname: str, origin: str, file_hash: str | None = None, **_unused: object) -> str:
        requested.update(name=fname, url=origin, checksum=file_hash or "")
        raise _RequestedError

    original, file_utils.get_file = file_utils.get_file, record_request
    try:
        getattr(keras.applications, class_name)(include_top=include_top, weights="imagenet")
    except _RequestedError:
        return requested
    finally:
        file_utils.get_file = original
    raise LookupError(class_name)


class _RequestedError(Exception):
    """Keras requested a file."""


def as_json(records: dict[str, Record]) -> str:
    """Return the records with one line for each fact, each block and each weights file."""
    return "{\n" + ",\n".join(f'"{name}": {_record_json(facts)}' for name, facts in records.items()) + "\n}\n"


def _record_json(record: Record) -> str:
    lines = [f' "{key}": {_value_json(value)}' for key, value in record.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def _value_json(value: Any) -> str:
    if isinstance(value, dict) and "files" in value:
        return f'{{"files": {_value_json(value["files"])}}}'
    if isinstance(value, list):
        return "[\n  " + ",\n  ".join(map(json.dumps, value)) + "]"
    return json.dumps(value)


if __name__ == "__main__":
    main()
