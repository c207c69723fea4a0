"""A dataset at a glance: its name, its counts, and a strip of photos of each class."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from pages.ui.app.page import link_to_next
from pages.ui.app.paging import page_of
from pages.ui.app.pictures import thumbnails
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import plain, short_names
from pages.ui.images.problems import must_be_fixed
from transfer_core.data.checks.notices import read_as_sentence
from transfer_core.data.checks.photo_check import Problem
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _, names_list, plural, sort_key

_STRIPS_AT_FIRST = 6
_STRIPS_A_PAGE = 24
# As many as the widest page shows in one row; a narrower one hides those that do not fit.
_PHOTOS_A_STRIP = 16
_SIDE = 96


def show_heading(session: Session, dataset: ImageDataset, problems: Sequence[Problem]) -> None:
    """Draw name and counts, and beside them the way on and the way to other photos.

    Args:
        session: Remembers whether the person adds photos.
        dataset: The photos.
        problems: The findings of the photo check; some of them must be fixed before a training.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="images-heading"):
        st.header(plain(dataset.name), anchor=False, width="stretch")
        if not session.is_bringing_photos:
            _show_actions(session, dataset, problems)
    st.markdown(counted_words(dataset))
    if dataset.read_as:
        st.caption(plain(read_as_sentence(dataset.read_as)))


def _show_actions(session: Session, dataset: ImageDataset, problems: Sequence[Problem]) -> None:
    def change() -> None:
        session.is_adding = not session.is_adding

    label = _("Done adding") if session.is_adding else _("Add or replace")
    icon = ":material/check:" if session.is_adding else ":material/add_photo_alternate:"
    st.button(label, icon=icon, key="add-or-replace", on_click=change)
    if len(dataset.class_names) > 1 and not must_be_fixed(problems):
        if session.backbone_name:
            link_to_next(Step.LAYERS, _("Next: layers"), is_primary=not session.is_adding)
        else:
            link_to_next(Step.MODEL, _("Next: model"), is_primary=not session.is_adding)


def counted_words(dataset: ImageDataset) -> str:
    """Return how many photos, classes, and photos of each side of the split there are."""
    photos = plural("{count} photo", "{count} photos", len(dataset.images))
    classes = plural("{count} class", "{count} classes", len(dataset.class_names))
    sides = [
        plural("{count} training photo", "{count} training photos", len(dataset.images_in("train"))),
        plural("{count} validation photo", "{count} validation photos", len(dataset.images_in("validation"))),
    ]
    if tested := len(dataset.images_in("test")):
        sides.append(plural("{count} test photo", "{count} test photos", tested))
    return _("**{photos} in {classes}.** {sides}.").format(
        photos=photos, classes=classes, sides=names_list(sides)
    )


def show_class_strips(dataset: ImageDataset) -> None:
    """Draw a row of photos of each class, with its name and count."""
    names: Sequence[str] = sorted(dataset.class_names, key=sort_key)
    if len(names) > _STRIPS_AT_FIRST:
        shows_all = st.toggle(
            _("Show all {count} classes").format(count=len(names)), key=f"all-classes-{dataset.id}"
        )
        if shows_all:
            _first, names = page_of(names, _STRIPS_A_PAGE, f"strips-{dataset.id}")
        else:
            names = names[:_STRIPS_AT_FIRST]
    counts, labels = dataset.counts(), short_names(dataset.class_names)
    photos: dict[str, list[str]] = {name: [] for name in names}
    for image in dataset.images:
        if len(photos.get(image.class_name, ())) < _PHOTOS_A_STRIP and image.class_name in photos:
            photos[image.class_name].append(str(dataset.image_path(image)))
    sources = iter(thumbnails(tuple(path for paths in photos.values() for path in paths), _SIDE))
    strips = [
        _strip(labels[name], counts[name], [next(sources) for _path in paths])
        for name, paths in photos.items()
    ]
    st.html(f'<ul class="class-strips">{"".join(strips)}</ul>')


def _strip(label: str, count: int, sources: Sequence[str]) -> str:
    counted = plural("{count} photo", "{count} photos", count)
    # A file that was deleted or damaged by hand has no picture to show.
    pictures = "".join(f'<img src="{source}" alt="">' for source in sources if source)
    return (
        f'<li><p class="class-name"><strong>{escape(label)}</strong> <span>{escape(counted)}</span></p>'
        f'<div class="class-photos">{pictures}</div></li>'
    )
