"""The advanced settings of a training, with previews of augmentation and class weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, get_args

import pandas as pd
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.process import layer_names
from pages.ui.app.session import Session
from pages.ui.app.words import head_words, plain
from pages.ui.train.rate_finder import show_rate_finder_button
from transfer_core.config import (
    AugmentationKind,
    AugmentationStrength,
    CacheDtype,
    ClassWeights,
    Head,
    OptimizerName,
    Schedule,
    TrainingConfig,
    bounds_of,
)
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.augmentation import Augmentation
from transfer_core.data.pixels import readable_batches
from transfer_core.language import _
from transfer_core.training.all_photos import reason_against_all_photos
from transfer_core.training.class_balance import class_weights
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.head_choice import needs_linear_head, reason_against_head
from transfer_core.work.executor import offers_mixed_precision

_LEARNING_RATES = [0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]
_BATCH_SIZES = [8, 16, 32, 64, 128]
_WEIGHT_DECAYS = [0.0, 0.0001, 0.001, 0.01, 0.1, 1.0]
_HIDDEN_UNITS = [32, 64, 128, 256, 512, 1024]

Choice = TypeVar("Choice", bound=str)


def show_advanced_settings(
    session: Session, config: TrainingConfig, dataset: ImageDataset, plan: FreezePlan
) -> TrainingConfig:
    """Draw all choices in tabs and return the config that they make.

    Args:
        session: Its `num_forms` resets the fields.
        config: The initial values.
        dataset: For the preview and the class weights.
        plan: The trainable blocks, as chosen on the Layers page.
    """
    form = _Form(config, session.num_forms)
    schedule, rates, head, images, classes = st.tabs(
        [_("Schedule"), _("Learning rate"), _("Last layer"), _("Augmentation"), _("Class balance")]
    )
    with schedule:
        form.show_schedule(plan)
    with rates:
        form.show_rates()
        guarded(show_rate_finder_button)(session, dataset, form.config())
    with head:
        form.show_head()
    with images:
        form.show_augmentation()
        guarded(show_augmentation_preview)(dataset, form.config(), plan.backbone.image_size)
    with classes:
        form.show_classes()
        _show_class_weights(dataset, form.config())
    _show_effect_on_head(form.config())
    return form.config()


class _Form:
    """Collects the values of the fields.

    Args:
        start: The initial values.
        number: Part of the fields' keys; another number resets them.
    """

    def __init__(self, start: TrainingConfig, number: int) -> None:
        self._start = start
        self._number = number
        self._chosen: dict[str, Any] = {}

    def config(self) -> TrainingConfig:
        """Return the initial config with the values of the fields drawn so far."""
        return self._start.with_changes(**self._chosen)

    def show_schedule(self, plan: FreezePlan) -> None:
        """Draw schedule, epochs and single layers."""
        self._pick("schedule", _("Schedule"), get_args(Schedule), _schedule_words())
        left, middle, right = st.columns(3)
        with left:
            self._count("epochs", _("Epochs"), "epoch")
        with middle:
            self._count("fine_tune_epochs", _("Fine-tuning epochs"), "fine-tuning")
        with right:
            self._count("early_stopping_patience", _("Early stopping"), "early stopping")
        self._switch("train_on_all", _("Train on all photos at the end"), "all photos")
        reason = reason_against_all_photos(self._start.with_changes(**self._chosen))
        if self._chosen["train_on_all"] and reason:
            st.caption(reason)
        self._show_single_layers(plan)

    def show_rates(self) -> None:
        """Draw optimiser, rates, seed and precision."""
        self._pick("optimizer", _("Optimiser"), get_args(OptimizerName), _optimizer_words())
        left, middle, right = st.columns(3)
        with left:
            self._slide("learning_rate", _("Learning rate"), _LEARNING_RATES, "learning rate")
        with middle:
            self._slide("fine_tune_learning_rate", _("Fine-tuning rate"), _LEARNING_RATES, "fine-tuning rate")
        with right:
            self._slide("batch_size", _("Batch size"), _BATCH_SIZES, "batch size")
        left, middle, right = st.columns(3)
        with left:
            self._slide("weight_decay", _("Weight decay"), _WEIGHT_DECAYS, "weight decay")
        with middle:
            self._share("momentum", _("Momentum (SGD)"), 0.99, "momentum")
        with right:
            self._share("layer_decay", _("Rate of earlier blocks"), 1.0, "layer decay", lowest=0.05)
        self._count("seed", _("Seed"), "seed")
        # Elsewhere the switch would change nothing.
        if offers_mixed_precision() or self._start.mixed_precision:
            self._switch("mixed_precision", _("Mixed precision"), "mixed precision")

    def show_head(self) -> None:
        """Draw the choices of the head."""
        self._pick(
            "head",
            _("Type of last layer"),
            get_args(Head),
            {head: head_words(head) for head in get_args(Head)},
        )
        left, middle, right = st.columns(3)
        with left:
            self._slide("hidden_units", _("Units of the hidden layer"), _HIDDEN_UNITS, "hidden layer")
        with middle:
            self._share("dropout", _("Dropout"), 0.9, "dropout")
        with right:
            self._share("label_smoothing", _("Label smoothing"), 0.5, "label smoothing")

    def show_augmentation(self) -> None:
        """Draw the choices of augmentation."""
        words = {"off": _("Off"), "light": _("Light"), "medium": _("Medium"), "strong": _("Strong")}
        self._pick("augmentation", _("Augmentation"), get_args(AugmentationStrength), words)
        kinds = st.pills(
            _("Changes"),
            get_args(AugmentationKind),
            selection_mode="multi",
            default=self._start.augmentation_kinds,
            format_func=_kind_words().__getitem__,
            key=self._key("augmentation_kinds"),
        )
        self._chosen["augmentation_kinds"] = tuple(kinds)
        left, middle, right = st.columns(3)
        with left:
            self._count("num_views", _("Views of each photo"), "views")
        with middle:
            self._switch("live_augmentation", _("New views in every epoch"), "live augmentation")
        with right:
            words = {"float16": _("Half (float16)"), "float32": _("Full (float32)")}
            self._pick("cache_dtype", _("Precision of the features"), get_args(CacheDtype), words)

    def show_classes(self) -> None:
        """Draw the choices for uneven classes."""
        words = {"auto": _("If uneven"), "on": _("Always"), "off": _("Never")}
        self._pick("class_weights", _("Class weights"), get_args(ClassWeights), words)
        self._switch("oversampling", _("Show photos of small classes more often"), "oversampling")

    def _show_single_layers(self, plan: FreezePlan) -> None:
        if plan.is_from_scratch:
            return
        is_wanted = st.toggle(
            _("Unfreeze single layers by name"),
            bool(self._start.unfrozen_layers),
            key=self._key("single-layers"),
            help=explain("single layers"),
        )
        chosen: list[str] = []
        if is_wanted:
            names = layer_names(plan.backbone.name)
            chosen = st.multiselect(
                _("Layers that learn"),
                names,
                [name for name in self._start.unfrozen_layers if name in names],
                key=self._key("unfrozen_layers"),
            )
        self._chosen["unfrozen_layers"] = tuple(chosen)

    def _key(self, name: str) -> str:
        return f"{name.replace('_', '-')}-{self._number}"

    def _pick(self, name: str, label: str, options: Sequence[Choice], words: dict[str, str]) -> None:
        present = getattr(self._start, name)
        chosen = st.segmented_control(
            label,
            options,
            default=present,
            format_func=words.__getitem__,
            help=explain(name.replace("_", " ")),
            key=self._key(name),
        )
        self._chosen[name] = chosen or present

    def _count(self, name: str, label: str, term: str) -> None:
        lowest, highest = map(int, bounds_of(name))
        value = st.number_input(
            label, lowest, highest, getattr(self._start, name), help=explain(term), key=self._key(name)
        )
        self._chosen[name] = int(value)

    def _slide(self, name: str, label: str, options: Sequence[float], term: str) -> None:
        present = getattr(self._start, name)
        # A run from the command line, or the finder, may have chosen freely.
        self._chosen[name] = st.select_slider(
            label, sorted({*options, present}), present, help=explain(term), key=self._key(name)
        )

    def _share(self, name: str, label: str, highest: float, term: str, lowest: float = 0.0) -> None:
        present = float(getattr(self._start, name))
        self._chosen[name] = st.slider(
            label,
            min(lowest, present),
            max(highest, present),
            present,
            0.01 if highest < 1 else 0.05,
            help=explain(term),
            key=self._key(name),
        )

    def _switch(self, name: str, label: str, term: str) -> None:
        self._chosen[name] = st.toggle(
            label, getattr(self._start, name), help=explain(term), key=self._key(name)
        )


def _show_class_weights(dataset: ImageDataset, config: TrainingConfig) -> None:
    weights = class_weights(dataset, config)
    if weights is None:
        st.caption(_("Every photo counts the same."))
        return
    st.caption(_("Weight of a photo of each class:"))
    column = _("weight")
    table = pd.DataFrame({_("class"): list(weights), column: [round(one, 2) for one in weights.values()]})
    # Numbers rather than texts, so that a click on the header sorts by size.
    st.dataframe(
        table,
        hide_index=True,
        width="content",
        column_config={column: st.column_config.NumberColumn(format="localized")},
    )


def _show_effect_on_head(config: TrainingConfig) -> None:
    if reason := reason_against_head(config):
        st.warning(reason)
    elif config.head == "auto" and needs_linear_head(config):
        st.caption(_("With augmentation, label smoothing or oversampling the last layer will be linear."))


def _schedule_words() -> dict[str, str]:
    return {
        "head_then_fine_tune": _("New layer, then fine-tuning"),
        "head_only": _("New layer only"),
        "one_phase": _("All at once"),
        "gradual": _("Block by block"),
    }


def _optimizer_words() -> dict[str, str]:
    return {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}


def _kind_words() -> dict[str, str]:
    return {
        "flip": _("Mirror"),
        "rotation": _("Rotate"),
        "zoom": _("Zoom and shift"),
        "color": _("Light and colour"),
    }


_NUM_PHOTOS = 4
_NUM_VIEWS = 3
_SIZE_ON_SCREEN = 88  # pixels


def show_augmentation_preview(dataset: ImageDataset, config: TrainingConfig, image_size: int) -> None:
    """Draw a photo of each of four classes with three augmented views of it.

    Args:
        dataset: The images.
        config: Its augmentation is shown.
        image_size: Input size of the network in pixels.
    """
    if not config.has_augmentation:
        st.caption(_("Off: the model sees each photo unchanged."))
        return
    augmentation = Augmentation.of(config)
    first_of_class = {image.class_name: image for image in reversed(dataset.images_in("train"))}
    shown = [first_of_class[name] for name in sorted(first_of_class)[:_NUM_PHOTOS]]
    batches = readable_batches([dataset.image_path(image) for image in shown], image_size)
    positions, photos = next(batches, ([], []))
    for column, position, pixels in zip(st.columns(_NUM_PHOTOS), positions, photos, strict=False):
        image = shown[position]
        views = [augmentation.view(pixels, image.id, number) for number in range(1, _NUM_VIEWS + 1)]
        with column.container(key=f"views-{image.id[:8]}"):
            st.caption(plain(image.class_name))
            st.image([pixels, *views], width=_SIZE_ON_SCREEN)
    st.caption(_("First your photo, then what the model may see instead."))
