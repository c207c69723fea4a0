"""Distilling a model into a smaller one, and comparing the two."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.process import trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import duration_words, memory_words, run_backbone_title
from transfer_core.backbones.backbone import Backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _, plural
from transfer_core.runs.distillation import (
    smaller_backbones,
    student_config,
    students_of,
)
from transfer_core.runs.run_folder import Distillation, ModelCost
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.training_run import TrainingRun

_BYTES_EACH = 4


def show_smaller_model(session: Session, run: TrainingRun) -> None:
    """Draw the form that distils a model, and the comparison with each of its students."""
    with st.container(border=True, key="smaller-model"):
        st.subheader(_("A smaller model"), anchor=False)
        st.markdown(
            _(
                "A large model can teach a small one: it learns from the answers of the large one as well as from "
                "your labels. The small one is quicker and takes less room, and is often nearly as good."
            ),
            help=explain("distillation"),
        )
        if run.config.teacher:
            st.caption(_("This model was taught by a larger one."))
            guarded(_show_outcome)(session, run, run)
        for student in students_of(workspace(), run):
            guarded(_show_outcome)(session, run, student)
        guarded(_offer)(session, run)


def _offer(session: Session, run: TrainingRun) -> None:
    backbones = smaller_backbones(run)
    if not backbones:
        st.caption(
            _("No network that comes with the app is both smaller and quicker than that of this model.")
        )
        return
    backbone = st.selectbox(
        _("Network of the small model"),
        backbones,
        format_func=lambda found: f"{found.title} · {memory_words(found.num_parameters * _BYTES_EACH)}",
        key=f"smaller-{run.id}",
    )
    if st.button(_("Teach a smaller model"), icon=":material/school:", key="teach"):
        _teach(session, run, backbone)


def _teach(session: Session, run: TrainingRun, backbone: Backbone) -> None:
    dataset = ImageDataset.load(workspace(), run.dataset_id)
    student = trainings().submit(dataset, student_config(run, dataset, backbone))
    # Keep the page on the large model.
    session.run_id, session.picked_run_id = student, run.id
    st.rerun()


def _show_outcome(session: Session, run: TrainingRun, student: TrainingRun) -> None:
    if trainings().status(student.id) in ACTIVE:
        st.info(_("The small model is being taught."), icon=":material/school:")
        _link(session, student, Step.TRAIN, _("Watch it learn"))
        return
    found = student.files.distillation()
    if found is None:
        return
    titles = (_("Large model"), _("Small model"))
    both = (found.teacher, found.student)
    st.markdown(_compared(found))
    st.dataframe(pd.DataFrame(map(_row, titles, both)), hide_index=True, width="stretch")
    st.caption(_measured(found))
    if student.id != run.id:
        label = _("Take away the small model ({network})").format(network=run_backbone_title(student))
        _link(session, student, Step.EXPORT, label)


def _measured(found: Distillation) -> str:
    if not found.is_out_of_fold:
        return plural(
            "Measured on this computer, with the same {count} photo that neither has learned from.",
            "Measured on this computer, with the same {count} photos that neither has learned from.",
            found.num_images,
        )
    return plural(
        "Measured on this computer, with the same {count} photo. The large model has learned from it since, but was "
        "measured without it. It taught the small one, whose accuracy may be slightly too high.",
        "Measured on this computer, with the same {count} photos. The large model has learned from them since, but "
        "was measured without them. It taught the small one, whose accuracy may be slightly too high.",
        found.num_images,
    )


def _compared(found: Distillation) -> str:
    percent = 100 * (found.student.accuracy - found.teacher.accuracy)
    return _(
        "The small model takes **{size:.0%}** of the room and **{time:.0%}** of the time of the large one; its "
        "accuracy differs by **{percent:+.1f} percentage points**."
    ).format(
        size=found.student.num_bytes / found.teacher.num_bytes,
        time=found.student.seconds_per_image / found.teacher.seconds_per_image,
        percent=percent,
    )


def _row(title: str, facts: ModelCost) -> dict[str, str]:
    return {
        _("Model"): title,
        _("Right"): f"{facts.accuracy:.1%}",
        _("Size"): memory_words(facts.num_bytes),
        _("Time for one photo"): duration_words(facts.seconds_per_image),
    }


def _link(session: Session, run: TrainingRun, step: Step, label: str) -> None:
    st.page_link(step.page, label=label, icon=step.icon, query_params={**session.query(), "run": run.id})
