"""The networks of `keras.applications`, each as one line of facts, and how they are built.

Top-1 accuracies: the table of keras.io/api/applications, as of 2024; MobileNetV3: the documentation of
`keras.applications.MobileNetV3Large`. Licences: docs/backbones.md.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import keras

Preprocessing = Literal["caffe", "tf", "torch", "inside", "efficientnet"]

# Of the ImageNet photos, in 0-255, red green blue.
_CAFFE_MEAN = (123.68, 116.779, 103.939)
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ZooModel:
    """One network of the zoo.

    Args:
        name: Its name here.
        title: Its name in `keras.applications`, with which it is built.
        family: Key of the family it belongs to.
        image_size: Side of the input it was trained with, in pixels.
        preprocessing: What its pixels go through before its first layer.
        imagenet_accuracy: Top-1, between 0 and 1.
        licence: SPDX identifier of the licence of the weights.
        smallest_image_size: The least side it can be built for, in pixels.
        options: More arguments of its builder.
    """

    name: str
    title: str
    family: str
    image_size: int
    preprocessing: Preprocessing
    imagenet_accuracy: float | None
    licence: str = "Apache-2.0"
    smallest_image_size: int = 32
    options: dict[str, float] = field(default_factory=dict, hash=False)

    def build(self) -> keras.Model:
        """Build it without classifier and with fresh weights.

        Returns:
            A flat functional model from raw RGB pixels (0-255) to a feature map. Its layers have the same names
            every time, also those that Keras numbers.
        """
        import keras

        shape = (self.image_size, self.image_size, 3)
        pixels = keras.Input(shape, name="pixels")
        builder = getattr(keras.applications, self.title)
        built = builder(
            include_top=False,
            weights=None,
            input_tensor=_preprocess(pixels, self.preprocessing),
            input_shape=shape,
            **self.options,
        )
        model = keras.Model(pixels, built.output, name=self.name)
        _number_anew(model)
        return model


def _preprocess(pixels: keras.KerasTensor, kind: Preprocessing) -> keras.KerasTensor:
    """Put in front of a network what its family's `preprocess_input` does.

    Caffe networks want blue first. The weights of their first layer are turned round when they are loaded, which
    comes to the same and needs no layer.
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
            # With ImageNet weights Keras divides by the root of the deviations once more, behind the
            # normalisation; done before it, the layers are the same with and without weights.
            scale = tuple(std**-0.5 for std in _TORCH_STD)
            offset = tuple(
                255 * mean * (1 - std**-0.5) for mean, std in zip(_TORCH_MEAN, _TORCH_STD, strict=True)
            )
    layer = keras.layers.Rescaling(list(scale), offset=list(offset), name="stem_rescaling")
    return layer(pixels)


def _number_anew(model: keras.Model) -> None:
    """Name layers that Keras numbered, by what the process had built before, by their place instead."""
    numbers: Counter[str] = Counter()
    for layer in model.layers:
        kind = re.sub(
            r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
        )
        if re.fullmatch(rf"{kind.lower()}(_\d+)?", layer.name):
            numbers[kind] += 1
            layer.name = f"{kind.lower()}_{numbers[kind]}"


ZOO = (
    ZooModel("mobilenet", "MobileNet", "mobilenet", 224, "tf", 0.704),
    ZooModel("mobilenet_v2", "MobileNetV2", "mobilenet", 224, "tf", 0.713),
    ZooModel("mobilenet_v3_small", "MobileNetV3Small", "mobilenet", 224, "inside", 0.681),
    ZooModel("mobilenet_v3_large", "MobileNetV3Large", "mobilenet", 224, "inside", 0.756),
    ZooModel("efficientnet_b0", "EfficientNetB0", "efficientnet", 224, "efficientnet", 0.771),
    ZooModel("efficientnet_b1", "EfficientNetB1", "efficientnet", 240, "efficientnet", 0.791),
    ZooModel("efficientnet_b2", "EfficientNetB2", "efficientnet", 260, "efficientnet", 0.801),
    ZooModel("efficientnet_b3", "EfficientNetB3", "efficientnet", 300, "efficientnet", 0.816),
    ZooModel("efficientnet_b4", "EfficientNetB4", "efficientnet", 380, "efficientnet", 0.829),
    ZooModel("efficientnet_b5", "EfficientNetB5", "efficientnet", 456, "efficientnet", 0.836),
    ZooModel("efficientnet_b6", "EfficientNetB6", "efficientnet", 528, "efficientnet", 0.840),
    ZooModel("efficientnet_b7", "EfficientNetB7", "efficientnet", 600, "efficientnet", 0.843),
    ZooModel("efficientnet_v2_b0", "EfficientNetV2B0", "efficientnet_v2", 224, "inside", 0.787),
    ZooModel("efficientnet_v2_b1", "EfficientNetV2B1", "efficientnet_v2", 240, "inside", 0.798),
    ZooModel("efficientnet_v2_b2", "EfficientNetV2B2", "efficientnet_v2", 260, "inside", 0.805),
    ZooModel("efficientnet_v2_b3", "EfficientNetV2B3", "efficientnet_v2", 300, "inside", 0.820),
    ZooModel("efficientnet_v2_s", "EfficientNetV2S", "efficientnet_v2", 384, "inside", 0.839),
    ZooModel("efficientnet_v2_m", "EfficientNetV2M", "efficientnet_v2", 480, "inside", 0.853),
    ZooModel("efficientnet_v2_l", "EfficientNetV2L", "efficientnet_v2", 480, "inside", 0.857),
    ZooModel("convnext_tiny", "ConvNeXtTiny", "convnext", 224, "inside", 0.813, "MIT"),
    ZooModel("convnext_small", "ConvNeXtSmall", "convnext", 224, "inside", 0.823, "MIT"),
    ZooModel("convnext_base", "ConvNeXtBase", "convnext", 224, "inside", 0.853, "MIT"),
    ZooModel("convnext_large", "ConvNeXtLarge", "convnext", 224, "inside", 0.863, "MIT"),
    ZooModel("convnext_xlarge", "ConvNeXtXLarge", "convnext", 224, "inside", 0.867, "MIT"),
    ZooModel("resnet50", "ResNet50", "resnet", 224, "caffe", 0.749, "MIT"),
    ZooModel("resnet101", "ResNet101", "resnet", 224, "caffe", 0.764, "MIT"),
    ZooModel("resnet152", "ResNet152", "resnet", 224, "caffe", 0.766, "MIT"),
    ZooModel("resnet50_v2", "ResNet50V2", "resnet", 224, "tf", 0.760),
    ZooModel("resnet101_v2", "ResNet101V2", "resnet", 224, "tf", 0.772),
    ZooModel("resnet152_v2", "ResNet152V2", "resnet", 224, "tf", 0.780),
    ZooModel("densenet121", "DenseNet121", "densenet", 224, "torch", 0.750, "BSD-3-Clause"),
    ZooModel("densenet169", "DenseNet169", "densenet", 224, "torch", 0.762, "BSD-3-Clause"),
    ZooModel("densenet201", "DenseNet201", "densenet", 224, "torch", 0.773, "BSD-3-Clause"),
    ZooModel("inception_v3", "InceptionV3", "inception", 299, "tf", 0.779, smallest_image_size=75),
    ZooModel(
        "inception_resnet_v2", "InceptionResNetV2", "inception", 299, "tf", 0.803, smallest_image_size=75
    ),
    ZooModel("xception", "Xception", "inception", 299, "tf", 0.790, "MIT", smallest_image_size=71),
    ZooModel("nasnet_mobile", "NASNetMobile", "nasnet", 224, "tf", 0.744),
    ZooModel("nasnet_large", "NASNetLarge", "nasnet", 331, "tf", 0.825),
    ZooModel("vgg16", "VGG16", "vgg", 224, "caffe", 0.713, "CC-BY-4.0"),
    ZooModel("vgg19", "VGG19", "vgg", 224, "caffe", 0.713, "CC-BY-4.0"),
)

# A quarter as wide and for small pictures: a network of the zoo that a test can train.
TINY_ZOO = ZooModel("mobilenet_tiny", "MobileNet", "tests", 32, "tf", None, options={"alpha": 0.25})
