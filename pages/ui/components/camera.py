"""The base of the components that have a camera."""

from __future__ import annotations

from typing import Any

from pages.ui.components.component import component
from transfer_core.language import _


def camera_component(name: str) -> Any:
    """Return the function that draws a component with a camera; it adds to the files of this one."""
    return component(name, base="camera")


def camera_words() -> dict[str, str]:
    """Return the sentences of every camera. Those for an error of the browser are under the name of the error."""
    return {
        "start": _("Switch the camera on"),
        "stop": _("Switch the camera off"),
        "take": _("Take a photo"),
        "preview": _("The camera picture"),
        "NotAllowedError": _(
            "The browser does not let this page use the camera. Allow it with the camera sign in the address bar."
        ),
        "NotReadableError": _("The camera cannot be used. Close other programs that use it, then try again."),
        "https": _("How to use https"),
        "unreached": _("The app does not answer. The camera was switched off. Try again in a moment."),
    }
