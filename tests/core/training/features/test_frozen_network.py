"""One built network and one graph a process: shared by all frozen uses, never changed by a training."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from transfer_core.backbones.published.tiny import RandomWeights
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.parallel import RecentResults
from transfer_core.training.classifier import build_classifier
from transfer_core.training.features.frozen_network import body_for, frozen_body, frozen_graph
from transfer_core.training.freezing import POOLING_LAYER, FreezePlan

TINY = get_backbone("tiny_random")


@pytest.mark.usefixtures("keras_module")
class TestBody:
    def test_is_built_once_for_all_that_is_frozen(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            bodies = list(pool.map(lambda _number: frozen_body(TINY), range(4)))
        assert len({id(body) for body in bodies}) == 1
        layer = TINY.blocks[0].last_layer
        classifier = build_classifier(FreezePlan(TINY, head="hidden"), 3, TrainingConfig())
        assert classifier.get_layer(layer) is bodies[0].get_layer(layer)

    def test_other_weights_of_the_same_name_are_another_body(self) -> None:
        others = replace(TINY, weights=RandomWeights("of another training", seed=5))
        kernels = [frozen_body(backbone).get_layer("block2_conv").kernel for backbone in (TINY, others)]
        assert not np.array_equal(*(kernel.numpy() for kernel in kernels))

    def test_fine_tuning_gets_a_copy_of_its_weights(self) -> None:
        kept, own = frozen_body(TINY), body_for(FreezePlan(TINY, 1))
        before = kept.get_weights()
        for found, expected in zip(own.get_weights(), before, strict=True):
            np.testing.assert_array_equal(found, expected)
        for weight in own.weights:
            weight.assign(weight + 1)
        for found, expected in zip(kept.get_weights(), before, strict=True):
            np.testing.assert_array_equal(found, expected)

    def test_random_weights_leave_it_alone(self) -> None:
        before = frozen_body(TINY).get_weights()
        build_classifier(FreezePlan(TINY, 3, is_from_scratch=True), 3, TrainingConfig(weights="random"))
        for found, expected in zip(frozen_body(TINY).get_weights(), before, strict=True):
            np.testing.assert_array_equal(found, expected)

    def test_the_heads_of_former_trainings_do_not_pile_up(self) -> None:
        classifier = build_classifier(FreezePlan(TINY), 3, TrainingConfig())
        head = weakref.ref(classifier.layers[-1])
        del classifier
        frozen_body(TINY)
        gc.collect()
        assert head() is None


@pytest.mark.usefixtures("keras_module")
class TestGraph:
    def test_is_made_once(self, tmp_path: Path) -> None:
        first, second = (frozen_graph(TINY, [POOLING_LAYER], tmp_path) for _time in range(2))
        assert first is second

    @pytest.mark.parametrize("name", ["tiny_random", "efficientnet_lite0"])
    def test_an_output_has_the_same_bits_alone_and_beside_others(self, name: str, tmp_path: Path) -> None:
        backbone = get_backbone(name)
        boundaries = [POOLING_LAYER, backbone.blocks[-2].last_layer]
        shape = (backbone.image_size, backbone.image_size, 3)
        image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        together = frozen_graph(backbone, boundaries, tmp_path).outputs(image)
        for boundary, output in zip(boundaries, together, strict=True):
            np.testing.assert_array_equal(
                frozen_graph(backbone, [boundary], tmp_path).outputs(image)[0], output
            )


class TestRecentResults:
    def test_beyond_the_budget_those_unused_for_longest_are_dropped(self) -> None:
        results: RecentResults[str, str] = RecentResults(most=3, most_bytes=100)
        for key in "abc":
            results.get(key, lambda key=key: key, 30)
        results.find("a")
        results.get("d", lambda: "d", 30)
        assert [results.find(key) for key in "abcd"] == ["a", None, "c", "d"]
        results.get("e", lambda: "e", 60)
        assert [results.find(key) for key in "acde"] == [None, None, "d", "e"]

    def test_a_result_beyond_the_whole_budget_is_returned_but_not_kept(self) -> None:
        results: RecentResults[str, str] = RecentResults(most=3, most_bytes=100)
        results.get("small", lambda: "small", 30)
        assert results.get("large", lambda: "large", 101) == "large"
        assert results.find("large") is None
        assert results.find("small") == "small"

    def test_of_several_threads_one_computes(self) -> None:
        results: RecentResults[str, object] = RecentResults(most=3, most_bytes=100)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _number: results.get("key", object, 1), range(50)))
        assert len(set(map(id, found))) == 1
