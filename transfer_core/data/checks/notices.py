"""Problems made of the notices that reading left: tables without use, names in doubt, series of photos."""

from __future__ import annotations

import re
from collections.abc import Iterator

from transfer_core.data.checks.problems import Problem, Severity
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import Notice, NoticeKind, ReadAs
from transfer_core.data.sources.layout_choice import listed
from transfer_core.language import _, names_list, number, plural, sentences

_WARNINGS: tuple[NoticeKind, ...] = ("too_bright_or_dark", "letters_in_doubt", "names_in_doubt")
_DIGITS = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
_NUMBERED = re.compile(r"column \d+")


def check_notices(dataset: ImageDataset) -> Iterator[Problem]:
    """Yield one problem for each kind of notice, which says what happened to each file or folder."""
    by_kind: dict[NoticeKind, list[str]] = {}
    for notice in dataset.notices:
        by_kind.setdefault(notice.kind, []).append(sentence_of(notice))
    for kind, of_kind in by_kind.items():
        severity: Severity = "warning" if kind in _WARNINGS else "info"
        yield Problem(kind, severity, _title(kind), sentences(*of_kind))


def sentence_of(notice: Notice) -> str:
    """Return what a notice says to the person."""
    match notice.kind:
        case "unknown_split_words":
            return _("{name} names parts of a split that are not known: {names}.").format(
                name=notice.name, names=listed(notice.names)
            )
        case "subfolders":
            return _(
                "Folders below the classes could be the classes instead: {names}. To use them, add the folder again "
                "with --layout subfolders."
            ).format(names=listed(notice.names))
        case "unused_table":
            return _unused_table(notice.names[0] if notice.names else "").format(name=notice.name)
        case "letters_in_doubt":
            return _(
                "The letters of {name} may be wrong: {names}. Save it as UTF-8 and add it again."
            ).format(name=notice.name, names=listed(notice.names))
        case "names_in_doubt":
            return _(
                "{name} does not say how its names are written. These may be wrong: {names}. Rename a class to "
                "correct it."
            ).format(name=notice.name, names=listed(notice.names))
        case "stretched":
            return plural(
                "The values of {count} photo go from {low} to {high}. They were stretched from black to white. "
                "To avoid this, choose “Keep as in the files”. Then add it again.",
                "The values of {count} photos go from {low} to {high}. They were stretched from black to white. "
                "To avoid this, choose “Keep as in the files”. Then add them again.",
                notice.count,
                low=_grey(notice.names[0]),
                high=_grey(notice.names[1]),
            )
        case "too_bright_or_dark":
            return plural(
                "{count} photo goes beyond the values {low} to {high} of the first photos. Its brightest or darkest "
                "parts are lost. Add all of these photos in one zip file, as new photos.",
                "{count} photos go beyond the values {low} to {high} of the first photos. Their brightest or darkest "
                "parts are lost. Add all of these photos in one zip file, as new photos.",
                notice.count,
                low=_grey(notice.names[0]),
                high=_grey(notice.names[1]),
            )
        case "first_frame":
            return plural(
                "{count} file holds several frames or photos. Only the first one counts.",
                "{count} files hold several frames or photos. Only the first one of each counts.",
                notice.count,
            )
        case _:
            return notice.name


def read_as_sentence(read_as: ReadAs) -> str:
    """Return in one line how a folder, archive or table was understood."""
    count = read_as.num_classes
    match read_as.labels_from:
        case "table":
            parts = [
                plural(
                    "Read as {count} class, from {table}, {column}.",
                    "Read as {count} classes, from {table}, {column}.",
                    count,
                    table=read_as.table,
                    column=_column(read_as.column),
                )
            ]
        case "names":
            parts = [
                plural(
                    "Read as {count} class, from the file names.",
                    "Read as {count} classes, from the file names.",
                    count,
                )
            ]
        case "subfolders":
            parts = [
                plural(
                    "Read as {count} class, from subfolders.",
                    "Read as {count} classes, from subfolders.",
                    count,
                )
            ]
        case "folders":
            parts = [
                plural(
                    "Read as {count} class, from folders.", "Read as {count} classes, from folders.", count
                )
            ]
    if len(read_as.folders) > 1:
        parts.append(_("Put together from {folders}.").format(folders=listed(read_as.folders)))
    elif read_as.folders:
        parts.append(_("Only the folder {folder} is used.").format(folder=read_as.folders[0]))
    if any(split != "train" for split in read_as.splits):
        parts.append(_split_sentence(read_as))
    whole = sentences(*parts)
    return _("Added last: {sentences}").format(sentences=whole) if read_as.is_addition else whole


def _grey(value: str) -> str:
    """Return a grey value, which is stored as in English, such as `"65,535"`."""
    digits = value.replace(",", "")
    return number(float(digits), len(digits.partition(".")[2])) if _DIGITS.fullmatch(digits) else value


def _column(header: str) -> str:
    # Of a table without headers it is stored as "column 2".
    name = header.removeprefix("column ") if _NUMBERED.fullmatch(header) else header
    return _("column {name}").format(name=name)


def _split_sentence(read_as: ReadAs) -> str:
    words = {"train": _("training"), "validation": _("validation"), "test": _("test")}
    parts = names_list([words[split] for split in read_as.splits], has_and=True)
    if read_as.labels_from == "table":
        return _("Split by the table into {parts}.").format(parts=parts)
    return _("Split by your folders into {parts}.").format(parts=parts)


def _title(kind: NoticeKind) -> str:
    match kind:
        case "unknown_split_words":
            return _("Unknown parts of a split")
        case "unused_table":
            return _("Tables that were not used")
        case "letters_in_doubt":
            return _("Letters in doubt")
        case "names_in_doubt":
            return _("Names in doubt")
        case "stretched":
            return _("Stretched to full brightness")
        case "too_bright_or_dark":
            return _("Brighter or darker than the first photos")
        case "first_frame":
            return _("Files with several frames")
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
        case "folders":
            return _("{name} was not used: the folders name the classes.")
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
