"""Weights files that a person brings: read as plain arrays, checked against the network, nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.core.backbones.published.test_zoo import save_as_keras_publishes
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.weights_file import _snake_case, read_weights, set_weights
from transfer_core.errors import WeightsError


@pytest.fixture(scope="module")
def network(keras_module):
    """A small network of the zoo."""
    return get_backbone("mobilenet_tiny").build()


@pytest.fixture
def published(network, tmp_path: Path) -> Path:
    """Its weights, as Keras publishes them."""
    path = tmp_path / "weights.h5"
    save_as_keras_publishes(network, path)
    return path


def with_top(keras, network):
    x = keras.layers.GlobalAveragePooling2D()(network.output)
    return keras.Model(network.input, keras.layers.Dense(3, name="predictions")(x))


def read(path: Path, network):
    return read_weights(path, network, path.name)


def test_file_with_and_without_classifier_gives_the_same_network(
    network, published: Path, tmp_path: Path, keras_module
) -> None:
    save_as_keras_publishes(with_top(keras_module, network), tmp_path / "top.h5")
    for path in (published, tmp_path / "top.h5"):
        other = get_backbone("mobilenet_tiny").build(pretrained=False)
        set_weights(other, read(path, other))
        for ours, theirs in zip(network.weights, other.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_keras_3_weights_are_read_with_and_without_classifier(network, tmp_path: Path, keras_module) -> None:
    for number, model in enumerate((network, with_top(keras_module, network))):
        path = tmp_path / f"{number}.weights.h5"
        model.save_weights(path)
        other = get_backbone("mobilenet_tiny").build(pretrained=False)
        set_weights(other, read(path, other))
        for ours, theirs in zip(network.weights, other.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_layers_made_of_layers_are_read_as_keras_3_saves_them(tmp_path: Path, keras_module) -> None:
    def build():
        layers = keras_module.layers
        inputs = keras_module.Input((8, 8, 3))
        stem = keras_module.Sequential([layers.Conv2D(4, 3), layers.LayerNormalization()], name="stem")
        return keras_module.Model(inputs, layers.Conv2D(2, 3, name="last")(stem(inputs)))

    saved, other = build(), build()
    saved.save_weights(tmp_path / "nested.weights.h5")
    set_weights(other, read(tmp_path / "nested.weights.h5", other))
    for ours, theirs in zip(saved.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_classes_are_named_as_keras_3_names_them() -> None:
    from keras.src.utils.naming import to_snake_case

    names = (
        *("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "BatchNormalization", "LayerNormalization"),
        *("Dense", "Normalization", "LayerScale", "PReLU", "ReLU", "ZeroPadding2D", "InputLayer"),
    )
    assert [_snake_case(name) for name in names] == [to_snake_case(name) for name in names]


def test_keras_3_file_of_another_network_is_refused(network, tmp_path: Path, keras_module) -> None:
    inputs = keras_module.Input((32, 32, 3))
    other = keras_module.Model(inputs, keras_module.layers.Conv2D(4, 3)(inputs))
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(WeightsError, match="is of another network"):
        read(tmp_path / "other.weights.h5", network)


def test_layers_of_other_names_are_taken_in_order(network, published: Path) -> None:
    import h5py

    with h5py.File(published, "r+") as file:
        names = [str(name) for name in file.attrs["layer_names"]]
        for name in names:
            file.move(name, f"old_{name}")
        file.attrs["layer_names"] = [f"old_{name}".encode() for name in names]
    arrays = read(published, network)
    np.testing.assert_array_equal(arrays["conv1"][0], network.get_layer("conv1").kernel)


def test_whole_model_file_of_keras_2_is_read_for_its_weights_alone(
    network, published: Path, tmp_path: Path
) -> None:
    import h5py

    with h5py.File(published) as weights, h5py.File(tmp_path / "model.h5", "w") as file:
        weights.copy(weights, file, name="model_weights")
        file.attrs["model_config"] = '{"class_name": "Lambda"}'
    assert read(tmp_path / "model.h5", network).keys() == {
        layer.name for layer in network.layers if layer.weights
    }


def test_file_of_another_network_is_refused_with_the_layer(network, tmp_path: Path, keras_module) -> None:
    other = get_backbone("tiny_random").build()
    save_as_keras_publishes(other, tmp_path / "other.h5")
    with pytest.raises(
        WeightsError, match=r"of another network.*block1_conv.*3×3×8×16, and conv_dw_1 expects"
    ):
        read(tmp_path / "other.h5", network)
    save_as_keras_publishes(keras_module.Model(network.input, network.layers[6].output), tmp_path / "half.h5")
    with pytest.raises(WeightsError, match=r"of another network: it has \d+ layers"):
        read(tmp_path / "half.h5", network)


def test_damaged_and_foreign_files_raise_one_sentence(network, published: Path, tmp_path: Path) -> None:
    content = published.read_bytes()
    for bad in (
        b"",
        b"PK\x03\x04",
        content[: len(content) // 2],
        content[:2000] + bytes(500) + content[2500:],
    ):
        (tmp_path / "bad.h5").write_bytes(bad)
        try:
            read(tmp_path / "bad.h5", network)
        except WeightsError as error:
            assert "bad.h5" in str(error)
    with pytest.raises(WeightsError, match="cannot be read"):
        read(tmp_path / "missing.h5", network)


def hostile(path: Path, kind: str) -> None:
    """Replace the first kernel with a link or an object of another kind."""
    import h5py

    (path.parent / "secret.bin").write_bytes(bytes(10_000))
    with h5py.File(path, "r+") as file:
        group = file["conv1"]
        (name,) = [str(name) for name in group.attrs["weight_names"]]
        shape = group[name].shape
        del group[name]
        match kind:
            case "external link":
                group[name] = h5py.ExternalLink("other.h5", "/x")
            case "soft link":
                group[name] = h5py.SoftLink("/conv_pw_1/kernel")
            case "external storage":
                group.create_dataset(name, shape, "f4", external=[("secret.bin", 0, h5py.h5f.UNLIMITED)])
            case "virtual":
                layout = h5py.VirtualLayout(shape, "f4")
                layout[...] = h5py.VirtualSource("other.h5", "x", shape)
                group.create_virtual_dataset(name, layout)
            case "huge":
                group.create_dataset(name, (10**6, 10**6), "f4", chunks=(1000, 1000))
            case "objects":
                group.create_dataset(name, shape, h5py.string_dtype())
            case "group":
                group.create_group(name)


@pytest.mark.parametrize(
    "kind", ["external link", "soft link", "external storage", "virtual", "huge", "objects", "group"]
)
def test_external_links_and_huge_arrays_are_rejected(kind: str, network, published: Path) -> None:
    hostile(published, kind)
    with pytest.raises(WeightsError):
        read(published, network)
