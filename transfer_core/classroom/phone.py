"""Photos that arrive from a phone, whose browser has a signed link instead of a cookie."""

from __future__ import annotations

from dataclasses import dataclass

from transfer_core.classroom.facts import Classroom, is_class_mode
from transfer_core.classroom.people import get_person
from transfer_core.classroom.visitor import sign, verify
from transfer_core.data.dataset import ImageDataset, class_called
from transfer_core.data.ingest import add_to_latest, create_dataset
from transfer_core.data.records import LeftOut
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.errors import NotFoundError
from transfer_core.language import _, said
from transfer_core.runs.trash import is_in_trash
from transfer_core.workspace import Workspace

PHONE_LINK_SECONDS = 8 * 60 * 60
_SEPARATOR = "/"
_NEW, _STORED = "new", "stored"


@dataclass(frozen=True)
class PhoneLink:
    """Whose photos a phone adds to.

    Args:
        person_id: The pupil; empty for the server's own workspace.
        dataset_id: The photos.
        is_new: Whether the first photo creates the dataset. Otherwise it must be there.
    """

    person_id: str
    dataset_id: str
    is_new: bool = False


@dataclass(frozen=True)
class Arrival:
    """What became of a photo.

    Args:
        dataset: The photos afterwards, perhaps none yet.
        problem: Why it was left out, as a sentence; empty if it is there.
    """

    dataset: ImageDataset
    problem: str = ""


def phone_token(workspace: Workspace, dataset_id: str) -> str:
    """Return a text with which a phone may add photos to a dataset for some hours.

    Args:
        workspace: Of the person.
        dataset_id: May be of a dataset that the first photo creates.

    Raises:
        WorkspaceError: If the server's secret cannot be read or written.
    """
    state = _STORED if dataset_id in workspace.dataset_ids() else _NEW
    # Short, so that the QR code is coarse enough for any phone.
    value = _SEPARATOR.join((workspace.owner, dataset_id, state))
    return sign(Classroom(workspace.server).facts(), "phone", value)


def phone_link(server: Workspace, token: str) -> PhoneLink:
    """Return what a phone may do with a token.

    Raises:
        NotFoundError: If it was not signed here or has expired, or if the person or the photos were deleted.
        WorkspaceError: If the server's secret cannot be read.
    """
    facts = Classroom(server).facts()
    person_id, dataset_id, state = verify(facts, "phone", token, PHONE_LINK_SECONDS).split(_SEPARATOR)
    link = PhoneLink(person_id, dataset_id, state == _NEW)
    if link.person_id:
        get_person(server, link.person_id)
    if is_class_mode() and link.person_id and not facts.is_open:
        raise NotFoundError(_("The class is closed now. Your teacher can open it again."))
    if not link.is_new:
        photos_of_phone(server, link)
    return link


def phone_workspace(server: Workspace, link: PhoneLink) -> Workspace:
    """Return the workspace that the photos go to."""
    return server.person(link.person_id) if link.person_id else server


def photos_of_phone(server: Workspace, link: PhoneLink) -> ImageDataset | None:
    """Return the dataset of a link; None if its first photo has still to come.

    Raises:
        NotFoundError: If the dataset was deleted.
        WorkspaceError: If its file is damaged.
    """
    workspace = phone_workspace(server, link)
    try:
        return ImageDataset.load(workspace, link.dataset_id)
    except NotFoundError:
        # Undo finds its place free.
        if link.is_new and not is_in_trash(workspace, "dataset", link.dataset_id):
            return None
        raise NotFoundError(_("These photos were deleted. Scan a new code on the big screen.")) from None


def add_phone_photo(server: Workspace, link: PhoneLink, photo_id: str, name: str, content: bytes) -> Arrival:
    """Add a photo to a class and save the dataset.

    The id becomes part of the photo's name. A photo that is sent again, because its answer was lost, is recognized by
    that, even after a restart of the server.

    Args:
        server: The workspace of the server.
        link: Of the phone.
        photo_id: Made by the phone, unique among its photos.
        name: Of the class.
        content: The photo's file.

    Raises:
        InvalidConfigError: If the class has no valid name.
        IngestError: If the person would have more photos than they may.
        NotFoundError: If the dataset was deleted.
        WorkspaceError: If writing fails.
    """
    class_name = class_called(name)
    file = uploaded_file(f"phone-{photo_id}.jpg", content)
    workspace = phone_workspace(server, link)

    def load() -> ImageDataset:
        stored = photos_of_phone(server, link)
        return stored or create_dataset(workspace, _("My photos"), dataset_id=link.dataset_id)

    present = load()
    if any(image.name == file.name for image in (*present.images, *present.excluded)):
        return Arrival(present)
    before, after = add_to_latest(load, [file], class_name=class_name)
    if len(after.images) == len(before.images):
        return Arrival(before, _problem(after.left_out[-1]))
    return Arrival(after)


def _problem(left_out: LeftOut) -> str:
    if left_out.kind == "duplicate":
        # The name of the other photo means nothing to a person.
        return _("The same photo is there already.")
    return _("A photo was left out: {reason}.").format(reason=said(left_out.reason))
