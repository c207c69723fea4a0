"""Problems made of the notices that reading left: tables without use, names in doubt, series of photos."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_core.data.checks.problems import Problem, Severity, listed
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import Notice, NoticeKind
from transfer_core.language import _, plural


def check_notices(dataset: ImageDataset) -> Iterator[Problem]:
    """Yield one problem for each kind of notice, which says what happened to each file or folder."""
    by_kind: dict[NoticeKind, list[str]] = {}
    for notice in dataset.notices:
        by_kind.setdefault(notice.kind, []).append(sentence_of(notice))
    for kind, sentences in by_kind.items():
        severity: Severity = "warning" if kind == "too_bright_or_dark" else "info"
        yield Problem(kind, severity, _title(kind), " ".join(sentences))


def sentence_of(notice: Notice) -> str:
    """Return what a notice says to the person."""
    match notice.kind:
        case "unknown_split_words":
            return _("{name} names parts of a split that are not known: {names}.").format(
                name=notice.name, names=listed(notice.names)
            )
        case "stretched":
            return plural(
                "The values of {count} photo go from {low} to {high}. They were stretched from black to white. If you "
                "do not want that, add it again as a new photo with “Keep as in the files”.",
                "The values of {count} photos go from {low} to {high}. They were stretched from black to white. If you "
                "do not want that, add them again as new photos with “Keep as in the files”.",
                notice.count,
                low=notice.names[0],
                high=notice.names[1],
            )
        case "too_bright_or_dark":
            return plural(
                "{count} photo goes beyond the values {low} to {high} of the first photos. Its brightest or darkest "
                "parts are lost. Add all of these photos at once, as new photos.",
                "{count} photos go beyond the values {low} to {high} of the first photos. Their brightest or darkest "
                "parts are lost. Add all of these photos at once, as new photos.",
                notice.count,
                low=notice.names[0],
                high=notice.names[1],
            )
        case "first_frame":
            return plural(
                "{count} file holds several frames or photos. Only the first one counts.",
                "{count} files hold several frames or photos. Only the first one of each counts.",
                notice.count,
            )
        case _:
            return notice.name


def _title(kind: NoticeKind) -> str:
    match kind:
        case "unknown_split_words":
            return _("Unknown parts of a split")
        case "stretched":
            return _("Stretched to full brightness")
        case "too_bright_or_dark":
            return _("Brighter or darker than the first photos")
        case "first_frame":
            return _("Files with several frames")
        case _:
            return _("How your photos were read")
