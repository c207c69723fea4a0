"""Freeze plans: boundary and counts, and frozen weights are unchanged to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.core.backbones.networks import BUILT_QUICK
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import InvalidConfigError
from transfer_core.training.classifier import build_classifier
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.layer_facts import layer_facts, layers_by_block
from transfer_core.training.train import train

TINY = get_backbone("tiny_random")
NAMES = ["stem", "block1", "block2"]
TRAINABLE = [backbone for backbone in BUILT_QUICK if not backbone.is_frozen_only]


@pytest.mark.parametrize(
    ("depth", "boundary_layer"), [(0, "pooling"), (1, "block1_relu"), (2, "stem_relu"), (3, None)]
)
def test_blocks_are_unfrozen_from_the_output(depth: int, boundary_layer: str | None) -> None:
    plan = FreezePlan(TINY, depth)
    assert [block.name for block in plan.frozen_blocks] == NAMES[: 3 - depth]
    assert [block.name for block in plan.unfrozen_blocks] == NAMES[3 - depth :]
    assert plan.boundary_layer == boundary_layer


@pytest.mark.parametrize("depth", [-1, 4])
def test_impossible_depth_names_the_possible_range(depth: int) -> None:
    with pytest.raises(InvalidConfigError, match=r"has 3 blocks.*Choose 0 to 3"):
        FreezePlan(TINY, depth)


def test_head_has_a_weight_for_each_feature_and_class_and_one_more_for_each_class() -> None:
    assert FreezePlan(TINY).num_head_parameters(4) == 32 * 4 + 4
    assert FreezePlan(TINY).num_trainable_parameters(4) == 32 * 4 + 4


def test_whole_network_is_counted_at_every_depth() -> None:
    for depth in range(4):
        plan = FreezePlan(TINY, depth)
        total = plan.num_trainable_parameters(4) + plan.num_frozen_parameters(4)
        assert total == TINY.num_parameters + plan.num_head_parameters(4)


def test_batch_normalization_is_frozen_in_unfrozen_blocks(keras_module) -> None:
    model = build_classifier(FreezePlan(TINY), 3, TrainingConfig())
    FreezePlan(TINY, 3).apply(model)
    assert [layer.name for layer in model.layers if layer.weights and not layer.trainable] == [
        "stem_bn",
        "block1_bn",
        "block2_bn",
    ]


def test_layers_belong_to_the_block_they_are_in(keras_module) -> None:
    model = build_classifier(FreezePlan(TINY), 3, TrainingConfig())
    found = {block.name: names for block, names in layers_by_block(model, TINY).items()}
    assert found["block1"] == ["block1_conv", "block1_bn", "block1_relu"]
    assert found["stem"] == ["pixels", "stem_rescaling", "stem_conv", "stem_bn", "stem_relu"]


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_frozen_weights_are_the_same_to_the_bit_and_unfrozen_kernels_are_not(
    depth: int, color_dataset: ImageDataset, even_config: TrainingConfig, tmp_path: Path, keras_module
) -> None:
    config = even_config.with_changes(num_unfrozen_blocks=depth)
    result = train(color_dataset, config, tmp_path, tmp_path)
    assert result.best_epoch > (config.epochs if depth else 0)
    trained = keras_module.saving.load_model(result.model_path, compile=False)
    pretrained = TINY.build()
    unfrozen = {f"{block.name}_conv" for block in FreezePlan(TINY, depth).unfrozen_blocks}
    for layer in pretrained.layers:
        pairs = list(zip(layer.get_weights(), trained.get_layer(layer.name).get_weights(), strict=True))
        if layer.name in unfrozen:
            assert not np.array_equal(*pairs[0]), layer.name
        else:
            assert all(before.tobytes() == after.tobytes() for before, after in pairs), layer.name


def test_layers_are_frozen_before_the_model_is_compiled(
    color_dataset: ImageDataset,
    even_config: TrainingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keras_module,
) -> None:
    at_compile = []
    compile_model = keras_module.Model.compile

    def note_and_compile(model, *args, **kwargs) -> None:
        at_compile.append({layer.name for layer in model.layers if layer.trainable_weights})
        compile_model(model, *args, **kwargs)

    monkeypatch.setattr(keras_module.Model, "compile", note_and_compile)
    config = even_config.with_changes(num_unfrozen_blocks=2, epochs=1, fine_tune_epochs=1)
    train(color_dataset, config, tmp_path, tmp_path)
    assert at_compile == [{"new_layer"}, {"new_layer", "block1_conv", "block2_conv"}]


class TestSingleLayers:
    def test_boundary_is_the_last_cut_before_the_first_trainable_layer(self, keras_module) -> None:
        def boundary(*layers: str) -> str | None:
            return FreezePlan(TINY, 0, layers).boundary_layer

        assert boundary("block2_conv") == "block1_relu"
        assert boundary("block1_conv", "block2_conv") == "stem_relu"
        assert boundary("stem_conv") is None

    def test_boundary_never_lies_beside_a_shortcut(self, keras_module) -> None:
        lite0 = get_backbone("efficientnet_lite0")
        # The addition at the end of block6c joins what block6b gave; only between the two is one tensor enough.
        assert FreezePlan(lite0, 0, ("block6c_project_conv",)).boundary_layer == "block6b_add"
        assert FreezePlan(lite0, 0, ("block7a_project_conv",)).boundary_layer == "block7a_depthwise_relu"
        assert FreezePlan(lite0, 1, ("block6c_project_conv",)).boundary_layer == "block6b_add"

    @pytest.mark.parametrize("name", ["block9_conv", "stem_bn", "stem_relu", ""])
    def test_layers_without_weights_are_rejected_with_suggestions(self, name: str, keras_module) -> None:
        config = TrainingConfig(backbone="tiny_random", unfrozen_layers=(name,))
        with pytest.raises(InvalidConfigError, match=r"can learn.*block2_conv"):
            FreezePlan.of(config)

    @pytest.mark.parametrize("backbone", TRAINABLE, ids=lambda entry: entry.name)
    def test_counts_equal_those_of_keras(self, backbone, keras_module) -> None:
        learners = [layer.name for layer in layer_facts(backbone) if layer.can_learn]
        model = build_classifier(FreezePlan(backbone), 5, TrainingConfig(), backbone.build(pretrained=False))
        for depth, layers in ((0, learners[-2:]), (1, [learners[1], learners[-1]])):
            plan = FreezePlan(backbone, depth, tuple(layers))
            plan.apply(model)
            counts = [count(model.trainable_weights), count(model.non_trainable_weights)]
            assert counts == [plan.num_trainable_parameters(5), plan.num_frozen_parameters(5)]

    def test_only_they_and_the_head_change(self, color_dataset, even_config, tmp_path, keras_module) -> None:
        config = even_config.with_changes(unfrozen_layers=("block1_conv",))
        before = build_classifier(FreezePlan.of(config), 3, config)
        train(color_dataset, config, tmp_path, tmp_path)
        after = keras_module.saving.load_model(tmp_path / "model.keras")
        changed = {
            old.path.split("/")[0]
            for old, new in zip(before.weights, after.weights, strict=True)
            if not np.array_equal(old.numpy(), new.numpy())
        }
        assert changed == {"block1_conv", "new_layer"}


class TestFromScratch:
    CONFIG = TrainingConfig(backbone="tiny_random", weights="random")

    def test_everything_is_trainable_including_normalization(self, keras_module) -> None:
        plan = FreezePlan.of(self.CONFIG)
        model = build_classifier(plan, 3, self.CONFIG)
        plan.apply(model)
        assert plan.boundary_layer is None
        assert {weight.path.split("/")[-1] for weight in model.non_trainable_weights} == {
            "moving_mean",
            "moving_variance",
        }
        counts = [count(model.trainable_weights), count(model.non_trainable_weights)]
        assert counts == [plan.num_trainable_parameters(3), plan.num_frozen_parameters(3)]

    @pytest.mark.parametrize("backbone", TRAINABLE, ids=lambda entry: entry.name)
    def test_counts_equal_those_of_keras(self, backbone, keras_module) -> None:
        config = self.CONFIG.with_changes(backbone=backbone.name)
        plan = FreezePlan.of(config)
        model = build_classifier(plan, 3, config)
        plan.apply(model)
        assert count(model.trainable_weights) == plan.num_trainable_parameters(3)

    def test_weights_are_random_and_follow_from_the_seed(self, keras_module) -> None:
        def kernels(config: TrainingConfig) -> list[np.ndarray]:
            model = build_classifier(FreezePlan.of(config), 3, config)
            return [layer.kernel.numpy() for layer in model.layers if layer.name.endswith("_conv")]

        pretrained = kernels(TrainingConfig(backbone="tiny_random"))
        first, again, other = (kernels(self.CONFIG.with_changes(seed=seed)) for seed in (1, 1, 2))
        for before, one, same, another in zip(pretrained, first, again, other, strict=True):
            np.testing.assert_array_equal(one, same)
            assert not np.array_equal(one, before)
            assert not np.array_equal(one, another)


@pytest.mark.parametrize("head", ["linear", "hidden", "flattened_map"])
def test_new_layers_are_counted_as_keras_counts_them(head, keras_module) -> None:
    plan = FreezePlan(TINY, head=head, hidden_units=7)
    model = build_classifier(plan, 4, TrainingConfig())
    assert model.count_params() == TINY.num_parameters + plan.num_head_parameters(4)


def count(weights: list) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)
