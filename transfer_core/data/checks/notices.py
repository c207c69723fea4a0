"""Problems made of the notices that reading left: tables without use, names in doubt, series of photos."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_core.data.checks.problems import Problem, listed
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import Notice, NoticeKind
from transfer_core.language import _


def check_notices(dataset: ImageDataset) -> Iterator[Problem]:
    """Yield one problem for each kind of notice, which says what happened to each file or folder."""
    by_kind: dict[NoticeKind, list[str]] = {}
    for notice in dataset.notices:
        by_kind.setdefault(notice.kind, []).append(sentence_of(notice))
    for kind, sentences in by_kind.items():
        yield Problem(kind, "info", _title(kind), " ".join(sentences))


def sentence_of(notice: Notice) -> str:
    """Return what a notice says to the person."""
    match notice.kind:
        case "unknown_split_words":
            return _("{name} names parts of a split that are not known: {names}.").format(
                name=notice.name, names=listed(notice.names)
            )
        case "names_in_doubt":
            return _(
                "{name} does not say how its names are written. These may be wrong: {names}. Rename a class to "
                "correct it."
            ).format(name=notice.name, names=listed(notice.names))
        case _:
            return notice.name


def _title(kind: NoticeKind) -> str:
    match kind:
        case "unknown_split_words":
            return _("Unknown parts of a split")
        case "names_in_doubt":
            return _("Names in doubt")
        case _:
            return _("How your photos were read")
