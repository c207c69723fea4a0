"""Only the teacher of the class may do what this page offers."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from pages.ui.app.page import guarded, guarded_callback
from pages.ui.app.process import visitor
from transfer_core.errors import NotFoundError
from transfer_core.language import _

Parameters = ParamSpec("Parameters")


def for_teacher(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Wrap a part of the page, so that it is drawn for the teacher alone."""
    return guarded(_checked(function))


def callback_for_teacher(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Wrap a callback, so that it does nothing for anyone but the teacher."""
    return guarded_callback(_checked(function))


def _checked(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Look at the rights at each call: a connection may be older than those of the person behind it."""

    @wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        if visitor().role != "teacher":
            raise NotFoundError(_("Only the teacher can see this."))
        function(*args, **kwargs)

    return call
