"""Ready-made sets, and training on the chosen photos with one click."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.pictures import data_url
from pages.ui.app.process import recommendation, trainings, workspace
from pages.ui.app.session import Session
from transfer_core.backbones.registry import DEFAULT_BACKBONE
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.samples import get_sample
from transfer_core.runs.run_status import ACTIVE

_PREVIEW_SIDE = 112
_MOST_PICTURES = 4


@st.cache_data(show_spinner=False)
def sample_pictures(name: str) -> list[str]:
    """Return small pictures of a built-in sample as addresses."""
    files = get_sample(name).preview()[:_MOST_PICTURES]
    return [data_url(thumbnail(decode_image(file.read()), _PREVIEW_SIDE)) for file in files]


def take_sample(session: Session, name: str) -> ImageDataset:
    """Create a dataset from a built-in sample and choose it."""
    sample = get_sample(name)
    dataset = add_files(create_dataset(workspace(), sample.title, sample=sample.name), sample.files())
    session.choose_dataset(dataset.id)
    return dataset


def start_recommended(session: Session) -> None:
    """Train on the chosen photos with the chosen backbone, or the default, and the recommended choices.

    Does nothing while this person's training is active.
    """
    dataset = session.dataset
    if dataset is None or (session.run_id and trainings().status(session.run_id) in ACTIVE):
        return
    session.has_own_choices = False
    session.config = recommendation(
        dataset.id, dataset.version, session.backbone_name or DEFAULT_BACKBONE
    ).config
    session.choose_backbone(session.config.backbone)
    session.choose_depth(session.config.num_unfrozen_blocks)
    session.follow(trainings().submit(dataset, session.config))
