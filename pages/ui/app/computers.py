"""The computers of a cluster: where a training runs, why it moved, and a list of all."""

from __future__ import annotations

from itertools import groupby

import streamlit as st

from pages.ui.app.process import trainings, visitor
from pages.ui.app.words import plain
from pages.ui.server.service import service
from transfer_core.events import PlaceLost, RunPlaced, RunSnapshot
from transfer_core.language import _, names_list, plural, said, sentences
from transfer_core.work.service import Computer


def where_photos_go() -> str:
    """Return whether photos that are added leave the computer of the app."""
    if trainings().sends_photos:
        return _("Trainings copy them to the computers of the cluster.")
    return _("They stay on this computer.")


def waiting_for_computer_words() -> str:
    """Return that a training has no computer of the cluster now."""
    return _("Waits for a computer of the cluster.")


def with_computer(words: str, snapshot: RunSnapshot) -> str:
    """Return what a training does, and the name of the computer that does it, if that is another one."""
    # A line that is too long breaks before its last word, not before the name alone.
    return f"{words}\u00a0·\u00a0{plain(snapshot.place.node)}" if snapshot.place else words


def show_computer(snapshot: RunSnapshot) -> None:
    """Draw where a training under way runs; where it moved, the reason and what follows from it."""
    if snapshot.is_lost:
        icon, sentence = ":material/cloud_off:", _lost_sentence(snapshot.losses[-1], snapshot.places[-1])
    elif loss := _loss_before_place(snapshot):
        icon, sentence = ":material/move_down:", _moved_sentence(loss, *snapshot.places[-2:])
    elif snapshot.place:
        icon = ":material/computer:"
        sentence = _("Runs on {computer}.").format(computer=plain(snapshot.place.node))
    else:
        return
    st.caption(f"{icon} {sentences(sentence, _unequal_words(snapshot))}")
    if snapshot.is_lost:
        show_cluster_problem()


def show_cluster_problem() -> None:
    """Draw why no training can begin on the cluster, for those who may be able to change that."""
    problem = service().cluster_problem
    if problem and visitor().is_in_charge:
        st.caption(f":material/warning: {plain(problem)}")


def show_computers_of_model(snapshot: RunSnapshot) -> None:
    """Draw where a model was trained, if that was not on the computer of the app."""
    names = [plain(name) for name, _same in groupby(place.node for place in snapshot.places_of_model)]
    if not names:
        return
    trained = (
        _("Trained on {computers}, one after the other.").format(computers=names_list(names))
        if len(names) > 1
        else _("Trained on {computer}.").format(computer=names[0])
    )
    st.caption(f":material/computer: {trained} {_unequal_words(snapshot)}")


def show_computers(name: str) -> None:
    """Draw the computers of the cluster, folded; nothing where trainings run on this computer.

    Args:
        name: Of the part of the page.
    """
    found = service().computers()
    if found is None:
        return
    with st.expander(_("Computers"), icon=":material/dns:", key=f"computers-{name}"):
        if not found:
            problem = plain(service().cluster_problem)
            st.caption(problem or _("No computer of the cluster answers yet."))
        for computer in found:
            _show_computer(computer)


def _show_computer(computer: Computer) -> None:
    node = computer.node
    cores = plural("{count} core", "{count} cores", round(node.num_cpus))
    gpus = plural("{count} graphics card", "{count} graphics cards", round(node.num_gpus))
    facts = _("{cores}, {gpus}").format(cores=cores, gpus=gpus) if node.num_gpus else cores
    state = plural("{count} training now", "{count} trainings now", computer.num_trainings)
    if node.problem:
        state = f":material/warning: {plain(said(node.problem))}"
    elif not computer.num_trainings:
        state = _("no training now")
    with st.container(gap=None):
        st.markdown(f"**{plain(node.name)}** · {facts}")
        st.caption(state)


def _loss_before_place(snapshot: RunSnapshot) -> PlaceLost | None:
    """Return the loss for which a training moved to its present place; it also moves when the app starts again."""
    if not snapshot.losses or len(snapshot.places) < 2:
        return None
    loss = snapshot.losses[-1]
    return loss if loss.time >= snapshot.places[-2].time else None


def _lost_sentence(loss: PlaceLost, place: RunPlaced) -> str:
    match loss.reason:
        case "node":
            return _("{computer} does not answer.").format(computer=plain(place.node))
        case "worker":
            return _("The training ended unexpectedly on {computer}.").format(computer=plain(place.node))
        case "cluster":
            return _("The cluster does not answer.")


def _moved_sentence(loss: PlaceLost, before: RunPlaced, now: RunPlaced) -> str:
    if loss.reason == "cluster":
        sentence = _("Runs on {computer} again after the cluster did not answer for a while.")
    elif before.node == now.node:
        sentence = _("Runs on {computer} again after it ended there unexpectedly.")
    elif loss.reason == "node":
        sentence = _("Moved to {computer} because {before} does not answer.")
    else:
        sentence = _("Moved to {computer} because it ended unexpectedly on {before}.")
    return sentence.format(computer=plain(now.node), before=plain(before.node))


def _unequal_words(snapshot: RunSnapshot) -> str:
    if not snapshot.has_unequal_places:
        return ""
    return _("The computers differ, so its numbers may differ in the last digits.")
