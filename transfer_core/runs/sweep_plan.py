"""The plan of a freeze sweep: which depths and seeds are trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TrainingError
from transfer_core.facts_file import FactsFile
from transfer_core.language import _
from transfer_core.schema import Count
from transfer_core.training.freezing import FreezePlan
from transfer_core.workspace import ID_PATTERN, new_id

_Numbers = Annotated[tuple[Count, ...], msgspec.Meta(min_length=1, max_length=100)]


class SweepPlan(msgspec.Struct, frozen=True):
    """The depths and seeds of a sweep.

    Args:
        id: Common to all its runs.
        depths: How many blocks are unfrozen, from the shallowest.
        seeds: Each depth is trained once with each of them.
    """

    id: Annotated[str, msgspec.Meta(pattern=rf"(?a)\A{ID_PATTERN.pattern}\Z")]
    depths: _Numbers
    seeds: _Numbers

    @classmethod
    def of(
        cls,
        dataset: ImageDataset,
        config: TrainingConfig,
        depths: Sequence[int],
        num_repeats: int,
        backbone: Backbone | None = None,
    ) -> SweepPlan:
        """Return a new plan.

        Args:
            dataset: The images. With folds, each run is validated on all of them, and is not repeated.
            config: Gives the first seed, and the network, which has to have as many blocks.
            depths: How many blocks to unfreeze; any order.
            num_repeats: Seeds for each depth, 1-10.
            backbone: The network; the published one that the config names, if not given.

        Raises:
            InvalidConfigError: If the network has fewer blocks.
            TrainingError: If there is nothing to compare.
        """
        if len(set(depths)) < 2:
            raise TrainingError(_("Choose at least two depths to compare."))
        num_seeds = 1 if dataset.split_by == "folds" else num_repeats
        plan = cls(new_id(), tuple(sorted(set(depths))), tuple(range(config.seed, config.seed + num_seeds)))
        for _depth, _seed, choices in plan.configs(config):
            FreezePlan.of(choices, backbone)
        return plan

    def configs(self, config: TrainingConfig) -> Iterator[tuple[int, int, TrainingConfig]]:
        """Yield depth, seed and choices of each run: first all depths once, so that there is soon something to see.

        Args:
            config: All other choices. What would make depth mean nothing is replaced: training from scratch, single
                layers, and a schedule without fine-tuning.
        """
        schedule = "head_then_fine_tune" if config.schedule == "head_only" else config.schedule
        for seed in self.seeds:
            for depth in self.depths:
                choices = config.with_changes(
                    seed=seed,
                    num_unfrozen_blocks=depth,
                    weights="imagenet",
                    unfrozen_layers=(),
                    schedule=schedule,
                )
                yield depth, seed, choices

    @property
    def marks(self) -> dict[str, dict[str, Any]]:
        """The file in the folder of a run that says it belongs here, for `TrainingRun.create`."""
        return {SWEEP.name: msgspec.to_builtins(self)}


SWEEP = FactsFile("sweep.json", SweepPlan)
