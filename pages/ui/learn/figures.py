"""The picture of each lesson: from the person's own model, else from photos that ship with the app or computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from itertools import islice
from typing import Any

import numpy as np
import streamlit as st

from pages.ui.app.pictures import data_url, thumbnails
from pages.ui.app.process import stored_evaluation, trainings, workspace
from pages.ui.app.words import plain, short_names
from pages.ui.components.blocks import show_blocks
from pages.ui.layers.freezing import network_data
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.data.samples import list_samples
from transfer_core.errors import TransferStudioError
from transfer_core.evaluation.intervals import wilson_interval
from transfer_core.language import _, percent, percent_range, percent_sign, plural
from transfer_core.runs.sweep import list_sweeps
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.freezing import FreezePlan

_Points = Sequence[tuple[float, float]]

_NUM_PHOTOS = 6
_SIDE = 160  # pixels
_HEIGHT = 240  # pixels of a chart
_TRAIN_COLOR, _VALIDATION_COLOR, _THIRD_COLOR = "#0e8a5f", "#d97706", "#3b82c4"


def show_network(run: TrainingRun | None) -> None:
    """Draw which blocks were trainable."""
    plan = FreezePlan.of(run.config, run.backbone) if run else FreezePlan(get_backbone(DEFAULT_BACKBONE))
    class_names = run.class_names if run else tuple(dict.fromkeys(_sample_class_names()))
    photos = _own_photos(run, "validation")[:1] or _sample_photos(is_new=False)[:1]
    data = network_data(plan, class_names, photos[0] if photos else "", is_drawing=True)
    show_blocks(data, "figure-blocks")


def show_depths(run: TrainingRun | None) -> None:
    """Draw the accuracy of the person's own series by depth, else the number of values that learn at each."""
    sweeps = list_sweeps(workspace())
    points = sweeps[0].points(trainings().snapshot) if sweeps else []
    if any(point.accuracy is not None for point in points):
        pairs = [
            (point.num_unfrozen_blocks, round(100 * point.accuracy, 1))
            for point in points
            if point.accuracy is not None
        ]
        _bars(
            pairs,
            _("accuracy"),
            "{value}" + percent_sign(),
            _("Accuracy by number of blocks that learn"),
            "depth-accuracy",
        )
        return
    backbone = get_backbone(DEFAULT_BACKBONE)
    if run and not run.backbone.is_frozen_only:
        backbone = run.backbone
    num_classes = len(run.class_names) if run else len(set(_sample_class_names()))
    pairs = [
        (depth, round(FreezePlan(backbone, depth).num_trainable_parameters(num_classes) / 1e6, 2))
        for depth in range(backbone.max_unfrozen_blocks + 1)
    ]
    _bars(
        pairs,
        _("Million values that learn in {model}").format(model=backbone.title),
        "{value}",
        _("Values that learn, by number of blocks that learn"),
        "depths",
    )


def _bars(pairs: Sequence[tuple[int, float]], unit: str, formatter: str, described: str, key: str) -> None:
    spec = {
        "animation": False,
        "grid": {"top": 8, "left": 8, "right": 8, "bottom": 28, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "category",
            "data": [str(depth) for depth, _value in pairs],
            "name": _("blocks that learn"),
            "nameLocation": "middle",
            "nameGap": 28,
        },
        # Whole numbers: ECharts writes a decimal point in every language.
        "yAxis": {"type": "value", "minInterval": 1, "axisLabel": {"formatter": formatter}},
        "series": [
            {
                "type": "bar",
                "name": unit,
                "data": [value for _depth, value in pairs],
                "color": _VALIDATION_COLOR,
            }
        ],
    }
    # A title of the chart itself would be cut on a phone.
    st.caption(unit)
    st.echarts_chart(spec, height=_HEIGHT, key=f"figure-{key}", alt=described)


def show_steps(run: TrainingRun | None) -> None:
    """Draw the loss of the own training; without one, a descent with steps of three sizes."""
    epochs = trainings().snapshot(run.id).epochs if run else ()
    if epochs:
        losses: dict[str, _Points] = {
            _("training loss"): [(one.epoch, round(one.loss, 3)) for one in epochs],
            _("validation loss"): [(one.epoch, round(one.val_loss, 3)) for one in epochs],
        }
        _lines(losses, _("epoch"), "{value}", _("Loss by epoch of your model"), "loss")
        return
    steps = range(13)
    # Gradient descent on the square of x, from 1.
    rates = ((_("too small"), 0.03), (_("about right"), 0.3), (_("too large"), 1.02))
    lines = {
        _("{size}: {rate}").format(size=name, rate=rate): [
            (step, round((1 - 2 * rate) ** (2 * step), 3)) for step in steps
        ]
        for name, rate in rates
    }
    _lines(lines, _("step"), "{value}", _("Loss by step, for three learning rates"), "rates")


def show_fit(run: TrainingRun | None) -> None:
    """Draw the accuracy on training and validation photos; without a run, three curves through the same points."""
    epochs = trainings().snapshot(run.id).epochs if run else ()
    if epochs:
        scores: dict[str, _Points] = {
            _("training photos"): [(one.epoch, round(100 * one.accuracy, 1)) for one in epochs],
            _("validation photos"): [(one.epoch, round(100 * one.val_accuracy, 1)) for one in epochs],
        }
        _lines(
            scores, _("epoch"), "{value}" + percent_sign(), _("Accuracy by epoch of your model"), "accuracy"
        )
        return
    generator = np.random.default_rng(3)
    x = np.linspace(0, 1, 10)
    y = np.sin(2 * np.pi * x) + generator.normal(0, 0.25, len(x))
    fine = np.linspace(0, 1, 120)
    degrees = ((_("underfits"), 1), (_("fits"), 3), (_("overfits"), 9))
    lines = {
        name: [
            (round(float(place), 3), round(float(height), 3))
            for place, height in zip(
                fine, np.polynomial.Polynomial.fit(x, y, degree)(fine).clip(-2, 2), strict=True
            )
        ]
        for name, degree in degrees
    }
    dots = [(round(float(place), 3), round(float(height), 3)) for place, height in zip(x, y, strict=True)]
    described = _("Three curves through ten points: too simple, about right, and through every point")
    _lines(lines, "", "{value}", described, "fits", dots=dots)


def _lines(
    lines: Mapping[str, _Points],
    axis: str,
    formatter: str,
    described: str,
    key: str,
    dots: _Points = (),
) -> None:
    styles = zip((_TRAIN_COLOR, _VALIDATION_COLOR, _THIRD_COLOR), ("solid", "dashed", "dotted"), strict=True)
    series: list[dict[str, Any]] = [
        {
            "type": "line",
            "name": name,
            "data": data,
            "symbol": "circle" if len(data) < 2 else "none",
            "color": color,
            "lineStyle": {"width": 3, "type": style},
        }
        for (name, data), (color, style) in zip(lines.items(), styles, strict=False)
    ]
    if dots:
        series.append(
            {"type": "scatter", "name": _("points"), "data": dots, "color": "#8a9a9e", "symbolSize": 10}
        )
    spec: dict[str, Any] = {
        "animation": False,
        "legend": {"top": 0},
        "grid": {"top": 36, "left": 8, "right": 12, "bottom": 28 if axis else 8, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value", "name": axis, "nameLocation": "middle", "nameGap": 28, "show": bool(axis)},
        "yAxis": {
            "type": "value",
            "show": bool(axis),
            "axisLabel": {"formatter": formatter},
            **({"min": 0, "max": 100} if formatter.endswith("%") else {}),
        },
        "series": series,
    }
    if axis:
        first, last = (edge(x for data in lines.values() for x, _y in data) for edge in (min, max))
        spec["xAxis"] |= {"min": first, "max": max(last, first + 1), "minInterval": 1}
    st.echarts_chart(spec, height=_HEIGHT, key=f"figure-{key}", alt=described)


def show_sides(run: TrainingRun | None) -> None:
    """Draw photos of both sides of the split."""
    train, validation = _own_photos(run, "train"), _own_photos(run, "validation")
    if not train or not validation:
        train, validation = _sample_photos(is_new=False), _sample_photos(is_new=True)
    _strip(_("Training photos"), train)
    _strip(_("Validation photos"), validation)


def show_range(run: TrainingRun | None) -> None:
    """Draw how wide the range of an accuracy is, measured on few and on many photos."""
    evaluation = None
    with suppress(TransferStudioError):
        evaluation = stored_evaluation(run.id) if run else None
    accuracy = evaluation.accuracy if evaluation else 0.9
    rows = []
    if evaluation:
        rows.append((_("your model"), evaluation.accuracy_interval, True))
    for count in (20, 100, 500):
        title = plural("{count} photo", "{count} photos", count)
        rows.append((title, wilson_interval(accuracy, count), False))
    st.markdown(_("**Accuracy {share}: range by number of photos**").format(share=percent(accuracy)))
    st.html(f'<div class="ranges">{"".join(_range(*row, accuracy) for row in rows)}</div>')


def _range(title: str, interval: tuple[float, float], is_own: bool, accuracy: float) -> str:
    lowest, highest = interval
    left, width = 100 * lowest, 100 * (highest - lowest)
    return (
        f'<span>{escape(title)}</span><span class="range-track" aria-hidden="true">'
        f'<span class="range-bar{" range-own" if is_own else ""}" style="left:{left:.1f}%;width:{width:.1f}%"></span>'
        f'<span class="range-dot" style="left:{100 * accuracy:.1f}%"></span></span>'
        f"<span>{escape(percent_range(lowest, highest))}</span>"
    )


def show_same_class(run: TrainingRun | None) -> None:
    """Draw photos of one class beside each other: what do they share besides the class?"""
    dataset = _dataset_of(run)
    if dataset and dataset.images:
        name = dataset.class_names[0]
        images = list(islice((one for one in dataset.images if one.class_name == name), _NUM_PHOTOS))
        photos = thumbnails(tuple(str(dataset.image_path(image)) for image in images), _SIDE)
    else:
        name = _sample_class_names()[0]
        photos = _sample_photos(is_new=False, class_name=name)
    label = short_names([name])[name]
    _strip(_("Class {name}: what else do these photos share?").format(name=plain(label)), photos)


def show_way(run: TrainingRun | None) -> None:
    """Draw the way of a photo: it remains on this computer."""
    stations = (
        ("photo_library", _("your photos")),
        ("location_off", _("location removed")),
        ("computer", _("this computer")),
        *([("dns", _("computers of the cluster"))] if trainings().sends_photos else []),
        ("psychology", _("your model")),
    )
    cells = (
        f'<li><span class="learn-icon" aria-hidden="true">{icon}</span>{escape(words)}</li>'
        for icon, words in stations
    )
    st.html(f'<ol class="learn-way">{"".join(cells)}</ol>')


def _strip(title: str, photos: list[str]) -> None:
    st.markdown(f"**{title}**")
    images = "".join(f'<img src="{photo}" alt="">' for photo in photos if photo)
    st.html(f'<div class="learn-strip" role="img" aria-label="{escape(title)}">{images}</div>')


def _dataset_of(run: TrainingRun | None) -> ImageDataset | None:
    with suppress(TransferStudioError):
        return ImageDataset.load(workspace(), run.dataset_id) if run else None
    return None


def _own_photos(run: TrainingRun | None, split: str) -> list[str]:
    """Return some photos of one side of a run's split, of different classes; none if they were deleted."""
    dataset = _dataset_of(run)
    if dataset is None or run is None:
        return []
    with suppress(TransferStudioError):
        ids = run.validation_ids() if split == "validation" else run.train_ids()
        images = [image for image in dataset.images if image.id in ids]
        step = max(len(images) // _NUM_PHOTOS, 1)
        chosen = images[::step][:_NUM_PHOTOS]
        return thumbnails(tuple(str(dataset.image_path(image)) for image in chosen), _SIDE)
    return []


def _sample_class_names() -> list[str]:
    return sorted({file.parts[0] for file in list_samples()[0].files()})


@st.cache_data(show_spinner=False, max_entries=20)
def _sample_photos(*, is_new: bool, class_name: str = "") -> list[str]:
    """Return small copies of photos that ship with the app.

    Args:
        is_new: Whether to take those that no model is trained on.
        class_name: Of all of them; empty for different classes.
    """
    sample = list_samples()[0]
    files = sample.new_files() if is_new else sample.files()
    files = [file for file in files if class_name in ("", file.parts[0])]
    step = max(len(files) // _NUM_PHOTOS, 1)
    return [data_url(thumbnail(decode_image(file.read()), _SIDE)) for file in files[::step][:_NUM_PHOTOS]]
