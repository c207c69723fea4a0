"""What each choice of trainable blocks would mean, as the component of the blocks shows it."""

from __future__ import annotations

from typing import Any

from pages.ui.app.look_ahead import num_photos_read
from pages.ui.app.pictures import thumbnails
from pages.ui.app.process import recommendation, workspace
from pages.ui.app.session import Session
from pages.ui.app.words import depth_words, learning_words, training_time_words
from pages.ui.components.blocks import show_blocks
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _, plural
from transfer_core.training.advice import depth_advice
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.stages import estimated_seconds


def show_choice(session: Session, plan: FreezePlan, dataset: ImageDataset) -> None:
    """Draw the blocks, and keep what the person chooses."""

    def choose(mode: str, depth: int) -> None:
        if mode == "from scratch":
            session.choose_depth(len(plan.backbone.blocks), is_from_scratch=True)
        elif 0 <= depth <= plan.backbone.max_unfrozen_blocks:
            session.choose_depth(depth)

    data = network_data(plan, dataset.class_names, _first_photo(dataset))
    config = _config(session, plan, dataset)
    num_read = num_photos_read(session)
    num_classes, num_train = len(dataset.class_names), len(dataset.images_in("train"))

    def effect(at: FreezePlan) -> dict[str, Any]:
        weights = "random" if at.is_from_scratch else "imagenet"
        choices = config.with_changes(num_unfrozen_blocks=at.num_unfrozen_blocks, weights=weights)
        seconds = estimated_seconds(choices, dataset, at.backbone, workspace().cache_dir, num_read)
        advice = depth_advice(at, num_train)
        return {
            **_state(at, num_classes),
            "time": training_time_words(seconds),
            "advice": advice.text,
            "fits": advice.fits,
        }

    depths = range(plan.backbone.max_unfrozen_blocks + 1)
    data |= {
        "fine_tune_depth": session.fine_tune_depth,
        "depths": [effect(FreezePlan(plan.backbone, depth)) for depth in depths],
        "is_locked": plan.backbone.is_frozen_only,
    }
    if not plan.backbone.is_frozen_only:
        scratch = FreezePlan(plan.backbone, len(plan.backbone.blocks), is_from_scratch=True)
        data["from_scratch"] = effect(scratch)
    show_blocks(data, f"blocks-{plan.backbone.name}-{dataset.id}", choose)


def network_data(
    plan: FreezePlan, class_names: tuple[str, ...], photo: str, *, is_drawing: bool = False
) -> dict[str, Any]:
    """Return what the component draws of a network, without the effects of other depths.

    Args:
        plan: What is frozen.
        class_names: The classes.
        photo: Address of the picture in front of the blocks; empty for an icon.
        is_drawing: Whether nothing can be chosen.
    """
    size = plan.backbone.image_size
    mode = "from scratch" if plan.is_from_scratch else "fine-tuned" if plan.num_unfrozen_blocks else ""
    state = _state(plan, len(class_names))
    blocks = [
        {
            "title": _("Block {number}").format(number=number),
            "facts": _("{size} × {size}").format(size=block.output_size),
        }
        for number, block in enumerate(plan.backbone.blocks, 1)
    ]
    return {
        "title": plan.backbone.name,
        "mode": mode or "feature extraction",
        "depth": plan.num_unfrozen_blocks,
        "fine_tune_depth": plan.num_unfrozen_blocks,
        "depths": [state] * (len(blocks) + 1),
        "from_scratch": state,
        "blocks": blocks,
        "photo": {
            "icon": "image",
            "picture": photo,
            "title": _("Photo"),
            "facts": _("{size} × {size}").format(size=size),
        },
        "head": {
            "icon": "auto_awesome",
            "title": _("New layer"),
            "facts": plural("{count} class", "{count} classes", len(class_names)),
            "state": _("learns"),
        },
        "modes": _modes(),
        "words": {
            "frozen": _("frozen"),
            "learns": _("learns"),
            "label": _("Number of frozen blocks"),
            "modes": _("How to train"),
            "scale": [_("edges and colours"), _("patterns"), _("whole things")],
            "hint": ""
            if is_drawing
            else _("Click a block or press arrow keys to freeze it or let it learn."),
            "scratch_hint": "" if is_drawing else _("From scratch, all blocks learn."),
        },
        "is_locked": is_drawing,
    }


def _state(plan: FreezePlan, num_classes: int) -> dict[str, Any]:
    """Return what learns with a plan, in words."""
    values = learning_words(plan, num_classes)
    state = depth_words(plan.num_unfrozen_blocks, len(plan.backbone.blocks))
    return {"time": "", "values": _sentence(values), "state": _sentence(state), "advice": "", "fits": True}


def _sentence(words: str) -> str:
    return _("{words}.").format(words=words)


def _modes() -> list[dict[str, str]]:
    return [
        {
            "name": "feature extraction",
            "title": _("Feature extraction"),
            "text": _("All blocks are frozen; only a new last layer learns. Best for few photos."),
        },
        {
            "name": "fine-tuned",
            "title": _("Fine-tuning"),
            "text": _("The last blocks learn too, in small steps. Worth a try with many photos."),
        },
        {
            "name": "from scratch",
            "title": _("From scratch"),
            "text": _("Forget everything and start with random values. Needs thousands of photos."),
        },
    ]


def _config(session: Session, plan: FreezePlan, dataset: ImageDataset) -> TrainingConfig:
    """Return the choices that the Train page would start with."""
    name = plan.backbone.name
    if session.has_own_choices:
        return session.config.with_changes(backbone=name)
    return recommendation(dataset.id, dataset.version, name).config


def _first_photo(dataset: ImageDataset) -> str:
    (photo,) = thumbnails((str(dataset.image_path(dataset.images[0])),), 96)
    return photo
