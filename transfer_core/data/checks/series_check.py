"""Find what series of photos mean for the split: each is kept on one side, or lies on both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from transfer_core.data.checks.problems import Problem, Severity, ids_of
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.data.sources.layout_choice import listed
from transfer_core.language import _, sentences


def check_series(dataset: ImageDataset) -> Iterator[Problem]:
    """Yield a problem about the series that the split keeps whole, and one about those that it does not."""
    kept: list[list[ImageRecord]] = []
    torn: list[list[ImageRecord]] = []
    for series in _series(dataset):
        (kept if _is_kept(dataset, series) else torn).append(series)
    if kept:
        sentence = _(
            "{count:,} of your photos come in series of one scene. "
            "We never validate on a scene we trained on."
        )
        yield _about(kept, "photo_series", "info", _("Photos in series"), sentence)
    if torn:
        sentence = _(
            "{count:,} of your photos show scenes in both training and validation. "
            "The accuracy would be too high."
        )
        names = sorted({image.class_name for series in torn for image in series})
        what_to_do = (
            _("Put all photos of one scene into the same folder, or split another way.")
            if dataset.split_by == "folders"
            else _("Add photos of other scenes to: {names}.").format(names=listed(names))
        )
        title = _("Series in training and validation")
        yield _about(torn, "torn_series", "warning", title, sentence, what_to_do)


def _series(dataset: ImageDataset) -> list[list[ImageRecord]]:
    """Return the series of two and more photos, without camera recordings: the person knows about those."""
    by_series: dict[str, list[ImageRecord]] = defaultdict(list)
    for image in dataset.images:
        if image.series:
            by_series[image.series].append(image)
    return [images for images in by_series.values() if len({image.burst or image.id for image in images}) > 1]


def _is_kept(dataset: ImageDataset, series: list[ImageRecord]) -> bool:
    is_on_one_side = len({image.split for image in series}) == 1
    # Folds take turns, so the stored split is only one of several.
    is_one_group = len({image.group or image.id for image in series}) == 1
    return is_on_one_side and (is_one_group or dataset.split_by != "folds")


def _about(
    groups: list[list[ImageRecord]],
    kind: str,
    severity: Severity,
    title: str,
    sentence: str,
    advice: str = "",
) -> Problem:
    ids = tuple(image.id for series in groups for image in series)
    whole = sentences(sentence.format(count=len(ids)), advice)
    return Problem(kind, severity, title, whole, ids, groups=tuple(map(ids_of, groups)))
