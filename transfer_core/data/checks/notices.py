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
        case "unused_table":
            return _unused_table(notice.names[0] if notice.names else "").format(name=notice.name)
        case "letters_in_doubt":
            return _(
                "The letters of {name} may be wrong: {names}. Save it as UTF-8 and add it again."
            ).format(name=notice.name, names=listed(notice.names))
        case _:
            return notice.name


def _title(kind: NoticeKind) -> str:
    match kind:
        case "unknown_split_words":
            return _("Unknown parts of a split")
        case "unused_table":
            return _("Tables that were not used")
        case "letters_in_doubt":
            return _("Letters in doubt")
        case _:
            return _("How your photos were read")


def _unused_table(reason: str) -> str:
    """Return the sentence on a table that was not used, with `{name}` in it."""
    match reason:
        case "no_files":
            return _("{name} names no photo that is there.")
        case "ambiguous":
            return _("{name} gives only names that several photos share. Write their folders into it.")
        case "no_label":
            return _("{name} has no column that holds a class.")
        case "no_such_column":
            return _("{name} does not have the column that was chosen for the class.")
        case "several_labels":
            return _("{name} gives photos several classes. Only one class per photo can be learned.")
        case "fewer":
            return _("{name} was not used: another table names more photos, or as many.")
        case "answers":
            return _("{name} is a form for answers and holds no labels.")
        case "spreadsheet":
            return _("{name} is a spreadsheet. Save it as CSV (UTF-8) and add that file.")
        case "too_large":
            return _("{name} is too large for a table. Delete columns or rows that are not needed.")
        case "too_many_rows":
            return _("{name} has too many rows. Delete those of other photos.")
        case _:
            return _("{name} cannot be read as a table: it is damaged.")
