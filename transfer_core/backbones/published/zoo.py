"""Build the networks of `keras.applications` so that each takes raw pixels and names its layers alike every time."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import keras

Preprocessing = Literal["caffe", "tf", "torch", "inside", "efficientnet"]

# Of the ImageNet photos, red green blue: caffe's in 0-255, torch's in 0-1.
_CAFFE_MEAN = (123.68, 116.779, 103.939)
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_STD = (0.229, 0.224, 0.225)


def build_zoo_network(
    *, name: str, image_size: int, class_name: str, preprocessing: Preprocessing, **options: float
) -> keras.Model:
    """Build a network of `keras.applications` without classifier and with fresh weights.

    Args:
        name: Of the model.
        image_size: Side of the square input, in pixels.
        class_name: Name of the network in `keras.applications`.
        preprocessing: What the pixels go through before the first layer.
        **options: More arguments of Keras's builder.

    Returns:
        A flat functional model from raw RGB pixels (0-255) to a feature map. Its layers have the same names
        every time, also those that Keras numbers.
    """
    import keras

    shape = (image_size, image_size, 3)
    pixels = keras.Input(shape, name="pixels")
    built = getattr(keras.applications, class_name)(
        include_top=False,
        weights=None,
        input_tensor=_preprocess(pixels, preprocessing),
        input_shape=shape,
        **options,
    )
    model = keras.Model(pixels, built.output, name=name)
    _number_layers(model)
    return model


def _preprocess(pixels: keras.KerasTensor, kind: Preprocessing) -> keras.KerasTensor:
    """Apply the `preprocess_input` of a network's family as a layer.

    Caffe networks expect BGR. Loading their weights reverses the kernel of the first layer instead, which gives the
    same numbers without a layer.
    """
    import keras

    scale: tuple[float, ...]
    offset: tuple[float, ...]
    match kind:
        case "inside":
            return pixels
        case "caffe":
            scale, offset = (1.0, 1.0, 1.0), tuple(-mean for mean in _CAFFE_MEAN)
        case "tf":
            scale, offset = (1 / 127.5,) * 3, (-1.0,) * 3
        case "torch":
            scale = tuple(1 / (255 * std) for std in _TORCH_STD)
            offset = tuple(-mean / std for mean, std in zip(_TORCH_MEAN, _TORCH_STD, strict=True))
        case "efficientnet":
            # With ImageNet weights Keras divides by the root of the deviations a second time, behind its
            # normalization layer. Doing so in front keeps the layers the same with and without weights.
            scale = tuple(std**-0.5 for std in _TORCH_STD)
            offset = tuple(
                255 * mean * (1 - std**-0.5) for mean, std in zip(_TORCH_MEAN, _TORCH_STD, strict=True)
            )
    layer = keras.layers.Rescaling(list(scale), offset=list(offset), name="stem_rescaling")
    return layer(pixels)


def _number_layers(model: keras.Model) -> None:
    """Number layers by their position. Keras numbers them by what the process has built before."""
    numbers: Counter[str] = Counter()
    for layer in model.layers:
        kind = re.sub(
            r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
        )
        if re.fullmatch(rf"{kind.lower()}(_\d+)?", layer.name):
            numbers[kind] += 1
            layer.name = f"{kind.lower()}_{numbers[kind]}"
