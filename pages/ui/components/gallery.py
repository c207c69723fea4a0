"""The images of a dataset, 48 on a page, to relabel, exclude and include."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.paging import page_of
from pages.ui.app.pictures import thumbnails
from pages.ui.app.session import Session
from pages.ui.app.words import short_names
from pages.ui.components.component import component
from transfer_core.data.checks.photo_check import Problem
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.data.sources.imported_file import MAX_NAME_LENGTH
from transfer_core.errors import InvalidConfigError
from transfer_core.language import _, plural, sort_key

IMAGES_A_PAGE = 48
# No class and no kind of problem has this name.
_EVERYTHING = " "


def show_gallery(session: Session, dataset: ImageDataset, problems: Sequence[Problem]) -> None:
    """Draw the gallery with filters, pages, and actions for the selected images.

    Args:
        session: May name a problem to filter by.
        dataset: The images.
        problems: The findings of the photo check, each a filter.
    """
    side = _choose_side(dataset)
    images = _filtered(session, dataset, problems, side)
    first, shown = page_of(images, IMAGES_A_PAGE, f"gallery-{dataset.id}")
    st.caption(_counted(first, len(shown), len(images)))
    if not shown:
        return
    sources = thumbnails(tuple(str(dataset.image_path(image)) for image in shown))
    looks_like = {found.image_id: found.suggested for found in session.suspicions_about(dataset)}
    tiles = [
        _tile(image, source, looks_like.get(image.id)) for image, source in zip(shown, sources, strict=True)
    ]
    show_tiles(dataset, tiles, "gallery", are_out=side == "excluded")


def show_tiles(
    dataset: ImageDataset,
    tiles: Sequence[dict[str, Any]],
    key: str,
    *,
    are_out: bool = False,
    can_confirm: bool = False,
) -> None:
    """Draw selectable images, and apply the action that the person picks for the selected ones.

    Args:
        dataset: Changed and saved by an action.
        tiles: Of each image `id`, `source`, `label`, `note` and `alt`.
        key: Unique for each gallery of a page.
        are_out: Whether the images are excluded and can be included.
        can_confirm: Whether their labels can be confirmed.
    """
    action = choose_tiles(
        tiles, sorted(dataset.class_names, key=sort_key), key, are_out=are_out, can_confirm=can_confirm
    )
    if action:
        guarded(_act)(dataset, action)


def choose_tiles(
    tiles: Sequence[dict[str, Any]],
    class_names: Sequence[str],
    key: str,
    *,
    are_out: bool = False,
    can_move: bool = True,
    can_confirm: bool = False,
    words: Mapping[str, str] | None = None,
) -> dict[str, Any] | None:
    """Draw selectable images, and return the action that the person picks for the selected ones.

    Args:
        tiles: Of each image `id`, `source`, `label`, `note` and `alt`.
        class_names: The classes to choose from.
        key: Unique for each gallery of a page.
        are_out: Whether the images are excluded and can be included.
        can_move: Whether their labels can be changed.
        can_confirm: Whether their labels can be confirmed.
        words: In place of the usual ones, by name.

    Returns:
        From the browser: `kind`, `ids` and `class_name`. None while nothing was picked.
    """
    chosen = component("gallery")(
        key=key,
        data={
            "tiles": tiles,
            "class_names": list(class_names),
            "max_name_length": MAX_NAME_LENGTH,
            "are_out": are_out,
            "can_move": can_move,
            "can_confirm": can_confirm,
            "words": {**_words(), **(words or {})},
        },
        on_action_change=lambda: None,
    )
    action: dict[str, Any] | None = chosen.action
    return action


def _choose_side(dataset: ImageDataset) -> str:
    sides = {
        "all": _("All"),
        "train": _("Training photos"),
        "validation": _("Validation photos"),
        "test": _("Test photos"),
        "excluded": _("Excluded"),
    }
    there = {image.split for image in dataset.images} | ({"excluded"} if dataset.excluded else set())
    return (
        st.segmented_control(
            _("Which photos"),
            [side for side in sides if side == "all" or side in there],
            default="all",
            required=True,
            format_func=sides.__getitem__,
            key=f"gallery-side-{dataset.id}",
        )
        or "all"
    )


def _filtered(
    session: Session, dataset: ImageDataset, problems: Sequence[Problem], side: str
) -> list[ImageRecord]:
    images = [
        image
        for image in (dataset.excluded if side == "excluded" else dataset.images)
        if side in ("all", "excluded", image.split)
    ]
    with st.container(horizontal=True):
        names = sorted({image.class_name for image in images}, key=sort_key)
        labels = {_EVERYTHING: _("All classes"), **short_names(names)}
        class_name = st.selectbox(
            _("Class"),
            [_EVERYTHING, *names],
            format_func=lambda name: labels.get(name, name),
            key=f"gallery-class-{dataset.id}-{side}",
            width=260,
        )
        found = {problem.kind: problem for problem in problems if problem.image_ids}
        kinds = [_EVERYTHING, *found]
        kind = st.selectbox(
            _("Found by the photo check"),
            kinds,
            index=kinds.index(session.shown_problem) if session.shown_problem in found else 0,
            format_func=lambda kind: found[kind].title if kind in found else _("Everything"),
            key=f"gallery-problem-{dataset.id}-{session.num_problems_shown}",
            width=260,
        )
    if class_name != _EVERYTHING:
        images = [image for image in images if image.class_name == class_name]
    if kind in found:
        # In the problem's own order, which puts what belongs together side by side.
        by_id = {image.id: image for image in images}
        images = [by_id[image_id] for image_id in found[kind].image_ids if image_id in by_id]
    return images


def _counted(first: int, num_shown: int, num_images: int) -> str:
    if num_shown < num_images:
        return _("Photos {first} to {last} of {count:,}.").format(
            first=first + 1, last=first + num_shown, count=num_images
        )
    return plural("{count} photo.", "{count} photos.", num_images)


def _tile(image: ImageRecord, source: str, looks_like: str | None) -> dict[str, Any]:
    notes = {"train": "", "validation": _("✓ validation"), "test": _("◆ test")}
    return {
        "id": image.id,
        "source": source,
        "label": image.class_name,
        "note": _("looks like {name}").format(name=looks_like) if looks_like else notes[image.split],
        "alt": _("{name}, class {class_name}").format(name=image.name, class_name=image.class_name),
    }


def _act(dataset: ImageDataset, action: dict[str, Any]) -> None:
    """Apply an action from the browser, save the dataset and draw the page again."""
    ids = [image_id for image_id in action.get("ids", ()) if isinstance(image_id, str)]
    match action.get("kind"):
        case "relabel":
            changed = dataset.relabelled(ids, str(action.get("class_name", "")))
        case "exclude":
            changed = dataset.without(ids)
        case "restore":
            changed = dataset.restored(ids)
        case "confirm":
            changed = dataset.confirmed(ids)
        case _:
            raise InvalidConfigError(_("The browser asked for something unknown. Load the page again."))
    if changed != dataset:
        changed.save()
    st.rerun()


def _words() -> dict[str, str]:
    return {
        "images": _("Photos to select"),
        "all": _("Select all"),
        "none": _("Clear"),
        "hint": _("Click photos, or use the arrow keys and Space. Shift selects several."),
        "chosen": _("{count} selected"),
        "relabel": _("Move to"),
        "new_class": _("a new class …"),
        "new_name": _("Name of the new class"),
        "move": _("Move"),
        "exclude": _("Exclude"),
        "restore": _("Include"),
        "confirm": _("Label is right"),
    }
