"""Read the facts of every backbone off the built network: `python -m tools.read_backbone_facts`.

It builds all of them, which takes some minutes, and writes transfer_core/backbones/published/facts.json. Names of
backbones as arguments read these alone again.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from transfer_core.backbones.backbone import Block
from transfer_core.backbones.published.efficientnet_lite import build_efficientnet_lite
from transfer_core.backbones.published.facts import FACTS_FILE
from transfer_core.backbones.published.tiny import build_tiny
from transfer_core.backbones.published.zoo import TINY_ZOO, ZOO
from transfer_core.backbones.runtime import load_keras
from transfer_core.training.layer_facts import cuts

if TYPE_CHECKING:
    import keras

# The layers that end a block, by name: the last that matches with the same group ends it. A network is cut only
# where everything behind depends on one tensor, so the cells of a NASNet, each of which also looks at the cell
# before the last, are one block.
_MBCONV = r"^(stem)_activation$|^(block\d+).*_(?:add|project_bn|project_activation)$|^(top)_activation$"
_ENDS = {
    "efficientnet_lite": r"^(stem)_relu$|^(block\d+).*_(?:add|project_bn)$|^(top)_relu$",
    "tiny": r"^(stem|block\d)_relu$",
    "MobileNet": r"^(conv1)_relu$|^(conv_pw_(?:1|3|5|11|13))_relu$",
    "MobileNetV2": r"^(Conv1)_relu$|^(expanded_conv)_project_BN$|^(block_(?:2|5|9|12|15))_add$|"
    r"^(block_16)_project_BN$|^(out)_relu$",
    "MobileNetV3": r"^(activation_1)$|^(expanded_conv(?:_\d+)?)_(?:project_bn|add)$|^(conv_1)_bn$",
    "EfficientNet": _MBCONV,
    "ConvNeXt": r"_(stem)$|_(downsampling_block_\d)$|^(layer_normalization)_\d+$",
    "ResNet": r"^(pool1)_pool$|^(conv\d)_block\d+_out$|^(post)_relu$",
    "DenseNet": r"^(pool\d)(?:_pool)?$|^(relu)$",
    "InceptionV3": r"^(max_pooling2d)_[12]$|^(mixed\d+)$",
    "InceptionResNetV2": r"^(max_pooling2d)_[12]$|^(mixed_5b|mixed_6a|mixed_7a)$|^(block35|block17)_\d+_ac$|"
    r"^(block8_10)$|^(conv_7b)_ac$",
    "Xception": r"^(block1)_conv2_act$|^(add_\d+)$|^(block14)_sepconv2_act$",
    "NASNet": r"^(stem)_bn1$|^(activation)_\d+$",
    "VGG": r"^(block\d)_pool$",
}


def main() -> None:
    """Build, read and write."""
    load_keras()
    known = json.loads(FACTS_FILE.read_text("utf-8")) if FACTS_FILE.is_file() else {}
    found = {}
    for name, kind, model, files in _networks(set(sys.argv[1:])):
        blocks = [list(vars(block).values()) for block in read_blocks(model, _ends_of(kind))]
        found[name] = {"blocks": blocks, "files": files}
        print(name, model.count_params(), [row[0] for row in blocks], flush=True)
    lines = [f'"{name}": {_as_json(facts)}' for name, facts in {**known, **found}.items()]
    FACTS_FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def _networks(wanted: set[str]) -> Iterator[tuple[str, str, keras.Model, list[list[str]]]]:
    lite = {
        "efficientnet_lite0": (224, 1.0, 1.0),
        "efficientnet_lite1": (240, 1.0, 1.1),
        "efficientnet_lite2": (260, 1.1, 1.2),
    }
    for name, (size, width, depth) in lite.items():
        if not wanted or name in wanted:
            model = build_efficientnet_lite(image_size=size, width=width, depth=depth)
            yield name, "efficientnet_lite", model, []
    if not wanted or "tiny_random" in wanted:
        yield "tiny_random", "tiny", build_tiny(), []
    for entry in (*ZOO, TINY_ZOO):
        if not wanted or entry.name in wanted:
            files = [] if entry is TINY_ZOO else [_published(entry.title, top) for top in (False, True)]
            yield entry.name, entry.title, entry.build(), files


def _ends_of(kind: str) -> str:
    """The pattern of the longest key that the kind begins with."""
    return _ENDS[max((key for key in _ENDS if kind.startswith(key)), key=len)]


def read_blocks(model: keras.Model, ends: str) -> list[Block]:
    """Cut a network at the last layer of each group of a pattern.

    Args:
        model: A flat functional model.
        ends: Names of layers that end a block, with the name of the block as the one group that matches.

    Returns:
        Blocks that together cover every layer.
    """
    import keras

    last_layers: dict[str, Any] = {}
    for layer, is_cut in zip(model.layers, cuts(model), strict=True):
        match = re.search(ends, layer.name)
        if match and is_cut:
            last_layers[next(group for group in match.groups() if group)] = layer
    last_layers[list(last_layers)[-1]] = model.layers[-1]
    seen: set[str] = set()
    blocks = []
    for name, last in zip(_short(list(last_layers)), last_layers.values(), strict=True):
        layers = [layer for layer in keras.Model(model.input, last.output).layers if layer.name not in seen]
        seen.update(layer.name for layer in layers)
        blocks.append(_block(name, last, layers))
    return blocks


def _short(found: list[str]) -> list[str]:
    """Give short names to blocks: Keras's own where it names them, else their number."""
    outside = dict.fromkeys(("max_pooling2d", "conv1", "Conv1", "pool1", "activation_1"), "stem")
    outside |= dict.fromkeys(("out", "relu", "post", "conv_1", "conv_7b"), "top")
    outside |= {"activation": "cells"}
    names = [outside.get(name, name) for name in found]
    first = 0 if names[0] == "stem" else 1
    own = re.compile(r"stem|top|cells|conv\d|mixed\w+|block\d+\w*")
    return [
        name if own.fullmatch(name) and not name.startswith("block_") else f"block{number}"
        for number, name in enumerate(names, first)
    ]


def _block(name: str, last: Any, layers: list[Any]) -> Block:
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
        num_multiplications=sum(map(_multiplications, layers)),
    )


def _count(weights: list[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _multiplications(layer: Any) -> int:
    """Each number of a kernel is used once for every place of the map that leaves the layer."""
    inner = getattr(layer, "layers", None)
    if inner:
        return sum(map(_multiplications, inner))
    num_places = int(math.prod(layer.output.shape[1:-1]))
    return num_places * _count([weight for weight in layer.weights if len(weight.shape) > 1])


def _published(title: str, include_top: bool) -> list[str]:
    """Ask Keras for the weights, and note which file it would have downloaded."""
    import keras
    from keras.src.utils import file_utils

    asked: list[str] = []

    def note(fname: str, origin: str, file_hash: str | None = None, **_unused: object) -> str:
        asked.extend((fname, origin, file_hash or ""))
        raise _AskedError

    original, file_utils.get_file = file_utils.get_file, note
    try:
        getattr(keras.applications, title)(include_top=include_top, weights="imagenet")
    except _AskedError:
        return asked
    finally:
        file_utils.get_file = original
    raise LookupError(title)


class _AskedError(Exception):
    """Keras asked for a file."""


def _as_json(facts: dict[str, Any]) -> str:
    rows = ",\n  ".join(map(json.dumps, facts["blocks"]))
    files = ",\n  ".join(map(json.dumps, facts["files"]))
    return f'{{"blocks": [\n  {rows}],\n "files": [{files}]}}'


if __name__ == "__main__":
    main()
