"""Numbers and states in words."""

from __future__ import annotations

from transfer_core.events import RunSnapshot
from transfer_core.language import _, plural


def phase_words(snapshot: RunSnapshot) -> str:
    """What the training is doing."""
    if snapshot.phase is None or (snapshot.phase == "features" and not snapshot.step and not snapshot.epochs):
        return _("starting the network; the first time takes a little longer")
    if snapshot.phase == "features":
        return _("getting ready for fine-tuning") if snapshot.epochs else _("looking at the images once")
    return _("training the new layer") if snapshot.phase == "head" else _("fine-tuning")


def duration_words(seconds: float) -> str:
    """A time span such as `"12 s"` or `"3 min 5 s"`."""
    if seconds < 0.995:
        return _("{count:.0f} ms").format(count=seconds * 1000)
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return _("{count} s").format(count=rest)
    return _("{minutes} min {rest} s").format(minutes=minutes, rest=rest)


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
