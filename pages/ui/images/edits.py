"""Changes of the classes, and undoing the last change."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.page import guarded, show_undo
from pages.ui.app.words import plain, short_names
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import Edit
from transfer_core.data.sources.imported_file import MAX_NAME_LENGTH, clean_name, shown_name
from transfer_core.language import _, plural, sort_key


def show_last_edit(dataset: ImageDataset) -> None:
    """Draw the last change of labels or classes, with a button that undoes it."""
    if dataset.edits:
        text = f":material/history: {plain(edit_words(dataset.edits[-1]))}"
        show_undo(text, lambda: _save(dataset.undone()), "edit")


def show_class_editor(dataset: ImageDataset) -> None:
    """Draw the fields to rename, merge or delete a class."""
    with st.expander(_("Rename, merge or delete a class"), icon=":material/edit:"):
        name = st.selectbox(
            _("Class"),
            sorted(dataset.class_names, key=sort_key),
            format_func=short_names(dataset.class_names).__getitem__,
            key=f"edited-class-{dataset.version}",
        )
        new_name = st.text_input(
            _("New name"),
            max_chars=MAX_NAME_LENGTH,
            placeholder=_("for example: tulip"),
            help=_("With the name of another class, the two become one."),
            key=f"new-class-name-{dataset.version}",
        )
        with st.container(horizontal=True):
            cleaned = clean_name(new_name)
            is_there = cleaned in dataset.class_names
            title = _("Merge with {name}").format(name=shown_name(cleaned)) if is_there else _("Rename")
            if st.button(plain(title), icon=":material/edit:", disabled=not cleaned):
                guarded(_save)(dataset.renamed_class(name, new_name))
            if st.button(_("Delete this class"), icon=":material/delete:"):
                guarded(_save)(dataset.without_class(name))
        st.caption(_("For seven days you can include the photos of a deleted class again."))


def edit_words(edit: Edit) -> str:
    """Return a sentence about what a change did."""
    count = len(edit.before)
    match edit.kind:
        case "relabel" if not edit.class_name:
            return plural("{count} photo has another label.", "{count} photos have other labels.", count)
        case "relabel":
            return plural(
                "{count} photo moved to {name}.",
                "{count} photos moved to {name}.",
                count,
                name=edit.class_name,
            )
        case "exclude":
            return plural("{count} photo excluded.", "{count} photos excluded.", count)
        case "restore":
            return plural("{count} photo included.", "{count} photos included.", count)
        case "rename_class":
            return _("The class {old} is now called {new}.").format(old=edit.class_name, new=edit.new_name)
        case "delete_class":
            return plural(
                "The class {name} was deleted: {count} photo excluded.",
                "The class {name} was deleted: {count} photos excluded.",
                count,
                name=edit.class_name,
            )


def _save(changed: ImageDataset) -> None:
    changed.save()
    st.rerun()
