"""Look for series among the photos of a dataset before they are split, once for each set of photos."""

from __future__ import annotations

import logging
from collections.abc import Callable

from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.data.damage import use_readable
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.series import find_series
from transfer_core.errors import TransferStudioError, WorkspaceError
from transfer_core.training.features.feature_cache import pooled_features
from transfer_core.types import ShouldStop
from transfer_core.workspace import Workspace

_logger = logging.getLogger(__name__)


def keep_series_together(
    workspace: Workspace,
    dataset: ImageDataset,
    *,
    on_progress: Callable[[int], None] = lambda num_done: None,
    should_stop: ShouldStop = lambda: False,
) -> ImageDataset:
    """Return the present version of a dataset with its series, each on one side of the split.

    Nothing is computed when all photos were examined before. Otherwise the dataset is saved as a new version. The
    features are those of the default backbone, whatever the model of a training: the thresholds are measured with
    them, and the split must not depend on the model. A failure is logged and leaves the split as it is.

    Args:
        workspace: Its cache keeps the features, which trainings with the default backbone use as well.
        dataset: A saved dataset.
        on_progress: Called with the number of photos whose features are ready.
        should_stop: Called at each batch of photos.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        NotFoundError: If the dataset was deleted meanwhile.
    """
    while not dataset.is_examined:
        try:
            series = use_readable(
                dataset, lambda readable: _series_of(workspace, readable, on_progress, should_stop)
            )
            return dataset.with_series(series).save()
        except TransferStudioError as error:
            present = ImageDataset.load(workspace, dataset.id)
            # A person or another training has saved a change meanwhile: its photos count.
            if not isinstance(error, WorkspaceError) or present.version == dataset.version:
                _logger.warning("No series were looked for in %s: %s", dataset.id, error)
                return dataset
            dataset = present
    return dataset


def _series_of(
    workspace: Workspace, dataset: ImageDataset, on_progress: Callable[[int], None], should_stop: ShouldStop
) -> dict[str, str]:
    """Return the series of each photo by its id."""
    features = pooled_features(
        dataset,
        get_backbone(DEFAULT_BACKBONE),
        workspace.cache_dir,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    ids = [image.id for image in dataset.images]
    labels = [image.class_name for image in dataset.images]
    return dict(zip(ids, find_series(ids, labels, features), strict=True))
