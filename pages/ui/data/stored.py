"""What is stored where: a row for each photo set, model and deleted thing, with its size and a button."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from pages.ui.app.dataset_choice import id_date
from pages.ui.app.page import guarded
from pages.ui.app.paging import page_of
from pages.ui.app.process import trainings, visitor, work_queue, workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import result_of
from pages.ui.app.words import memory_words, plain
from pages.ui.data.deleting import show_delete_button
from transfer_core.language import _, plural, sentences
from transfer_core.runs.deletion import clear_cache, delete_everything, delete_for_good, empty_trash
from transfer_core.runs.storage import StoredItem
from transfer_core.runs.trash import take_from_trash
from transfer_core.work.tasks import storage_task

_ROWS_A_PAGE = 20


def show_where() -> None:
    """Draw where photos are, and what leaves this computer: nothing but copies for trainings on a cluster."""
    copies = (
        _(
            "Trainings copy photos to the computers of the cluster. Deleting photos here does not delete those "
            "copies. They are deleted when newer photos need the room."
        )
        if trainings().is_remote
        else ""
    )
    if visitor().is_in_charge:
        stays = copies or _("They never leave it by themselves.")
        st.markdown(sentences(_("Your photos and models are on this computer."), stays))
        with st.expander(_("Where they are"), icon=":material/folder:"):
            st.code(str(workspace().root), language=None, wrap_lines=True)
    else:
        stays = copies or _("They are sent nowhere else.")
        where = _("Your photos and models are on your teacher's computer.")
        st.markdown(sentences(where, stays))
        st.markdown(_("Your teacher can see and delete them."))
    st.caption(
        _("Your browser keeps no photos, only a cookie that remembers who you are.")
        if visitor().role != "home"
        else _("Your browser keeps no photos.")
    )


def show_stored(session: Session) -> None:
    """Draw all rows, and the buttons that delete several of them.

    Args:
        session: Forgets what is deleted.
    """
    stored = result_of(
        work_queue().get_or_start(storage_task(workspace())),
        _("Adding up the sizes …"),
        name="storage",
        has_stop=False,
    )
    _show_rows(session, _("Photo sets"), stored.photo_sets)
    _show_rows(session, _("Models"), stored.models)
    _show_rows(session, _("Your own models to build on"), stored.own_models)
    _show_trash(session, stored.trash, sum(item.num_deleted for item in stored.photo_sets))
    if stored.num_cache_bytes:
        _show_cache(session, stored.num_cache_bytes)
    if not stored.num_bytes:
        st.info(_("Nothing is stored yet."), icon=":material/info:")
        return
    with _card("everything"), _row("everything"):
        _show_words(_("Everything"), [memory_words(stored.num_bytes)])
        show_delete_button(
            session,
            "delete-everything",
            _("Delete everything"),
            [_("All your photos and models will be deleted.")],
            partial(delete_everything, workspace()),
            is_quiet=False,
            is_all=True,
        )


def _show_rows(session: Session, title: str, items: Sequence[StoredItem]) -> None:
    if not items:
        return
    with _card(items[0].kind):
        st.header(title, anchor=False)
        _first, shown = page_of(items, _ROWS_A_PAGE, f"stored-{items[0].kind}")
        for item in shown:
            with _row(f"{item.kind}-{item.id}"):
                _show_words(_name(item), _facts(item))
                show_delete_button(
                    session,
                    f"delete-{item.kind}-{item.id}",
                    _("Delete for good"),
                    [" · ".join((_name(item), *_facts(item))), *_consequences(item)],
                    partial(delete_for_good, workspace(), item.kind, item.id),
                )


def _show_trash(session: Session, items: Sequence[StoredItem], num_deleted: int) -> None:
    if not items and not num_deleted:
        return
    with _card("trash"):
        st.header(_("Trash"), anchor=False)
        st.markdown(_("After seven days it is deleted by itself."))
        _first, shown = page_of(items, _ROWS_A_PAGE, "stored-trash")
        for item in shown:
            days = plural("{count} day left", "{count} days left", item.num_days_left)
            with _row(f"trash-{item.kind}-{item.id}"):
                _show_words(_name(item), [_kind(item), *_facts(item), days])
                if st.button(
                    _("Take back"),
                    icon=":material/undo:",
                    key=f"back-{item.kind}-{item.id}",
                    type="tertiary",
                ):
                    guarded(_take_back)(item)
        if num_deleted:
            st.markdown(
                plural("{count} photo of a deleted class", "{count} photos of deleted classes", num_deleted)
            )
        show_delete_button(
            session,
            "delete-trash",
            _("Empty the trash"),
            [_("Everything in the trash will be deleted.")],
            partial(empty_trash, workspace()),
            is_quiet=False,
        )


def _show_cache(session: Session, num_bytes: int) -> None:
    with _card("cache"):
        st.header(_("What can be made again"), anchor=False)
        with _row("cache"):
            _show_words(
                _("Features of your photos, and saved projects"),
                [memory_words(num_bytes), _("safe to delete")],
            )
            show_delete_button(
                session,
                "delete-cache",
                _("Delete for good"),
                [_("The next training reads your photos again.")],
                partial(clear_cache, workspace()),
            )


def _take_back(item: StoredItem) -> None:
    take_from_trash(workspace(), item.kind, item.id)
    st.rerun()


def _card(name: str) -> st.delta_generator.DeltaGenerator:
    return st.container(border=True, key=f"stored-{name}")


def _row(name: str) -> st.delta_generator.DeltaGenerator:
    return st.container(horizontal=True, vertical_alignment="center", key=f"row-{name}")


def _show_words(name: str, facts: Sequence[str]) -> None:
    with st.container(gap=None):
        st.markdown(f"**{plain(name)}**")
        st.caption(" · ".join(facts))


def _name(item: StoredItem) -> str:
    return item.name or _("Damaged")


def _kind(item: StoredItem) -> str:
    return {"dataset": _("photo set"), "run": _("model"), "source": _("own model")}[item.kind]


def _facts(item: StoredItem) -> list[str]:
    photos = plural("{count} photo", "{count} photos", item.num_photos) if item.kind == "dataset" else ""
    size = memory_words(item.num_bytes)
    time = f"{item.id[9:11]}:{item.id[11:13]}" if item.kind == "run" else ""
    return [fact for fact in (photos, size, id_date(item.id), time) if fact]


def _consequences(item: StoredItem) -> list[str]:
    if item.kind == "dataset":
        return [_("Models that learned from these photos are kept.")]
    if item.kind == "run":
        return [_("Its results, exports and test photos are deleted too.")]
    return []
