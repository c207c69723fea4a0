"""Numbers and states in words."""

from __future__ import annotations

from transfer_core.events import RunSnapshot
from transfer_core.language import _, plural


def phase_words(snapshot: RunSnapshot) -> str:
    """What the training is doing."""
    match snapshot.phase:
        case "head":
            return _("training the new layer")
        case "fine_tune":
            return _("fine-tuning")
        case "teacher":
            return _("asking the large model about the photos")
        case "evaluation":
            return _("checking the finished model on the photos kept aside")
        case "cross_validation":
            return _("training once more for each part that takes its turn")
        case "features" if snapshot.epochs:
            return _("getting ready for fine-tuning")
        case "features" if snapshot.step:
            return _("looking at the images once")
    return _("starting the network; the first time takes a little longer")


def part_words(snapshot: RunSnapshot) -> str:
    """What the training is doing, and which part of how many that is."""
    words = phase_words(snapshot)
    words = words[:1].upper() + words[1:]
    num_parts = len(snapshot.assumed_seconds)
    if not 0 < snapshot.phase_number <= num_parts:
        return words
    return _("Part {number} of {total}: {what}").format(
        number=snapshot.phase_number, total=num_parts, what=phase_words(snapshot)
    )


def duration_words(seconds: float) -> str:
    """A time span such as `"12 s"` or `"3 min 5 s"`."""
    if seconds < 0.995:
        return _("{count:.0f} ms").format(count=seconds * 1000)
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return _("{count} s").format(count=rest)
    return _("{minutes} min {rest} s").format(minutes=minutes, rest=rest)


def time_left_words(seconds: float) -> str:
    """A time that is still to come, no more exact than it can be known."""
    if seconds < 60:
        return _("about {count} s").format(count=max(round(seconds), 1))
    if seconds < 3600:
        return _("about {count} min").format(count=round(seconds / 60))
    hours, rest = divmod(round(seconds / 60), 60)
    return _("about {hours} h {minutes} min").format(hours=hours, minutes=rest)


def memory_words(num_bytes: int) -> str:
    """An amount of memory such as `"820 MB"` or `"1.4 GB"`, by thousands."""
    if num_bytes < 1e9:
        return _("{count:.0f} MB").format(count=num_bytes / 1e6)
    return _("{count:.1f} GB").format(count=num_bytes / 1e9)


def head_words(head: str) -> str:
    """A kind of new layers."""
    return {
        "auto": _("What fits best"),
        "linear": _("Linear"),
        "hidden": _("With a hidden layer"),
        "flattened_map": _("On the whole map"),
    }[head]


def count_words(count: int) -> str:
    """A large number, shortened, such as `"3.4 million"`."""
    if count >= 1_000_000:
        return _("{count:.1f} million").format(count=count / 1e6)
    return f"{count:,}"


def depth_words(num_unfrozen_blocks: int, num_blocks: int) -> str:
    """What learns, in words."""
    if num_unfrozen_blocks == 0:
        return _("Only the new last layer learns")
    if num_unfrozen_blocks == num_blocks:
        return _("Everything learns")
    return plural(
        "The new layer and the last block learn",
        "The new layer and the last {count} blocks learn",
        num_unfrozen_blocks,
    )


def plain(text: str) -> str:
    """Text from outside, with everything that Streamlit's Markdown would act on defused."""
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>$:~#|" else letter for letter in text)
