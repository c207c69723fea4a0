"""Only the teacher of the class may do what this page offers."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from pages.ui.app.page import guarded
from pages.ui.app.process import visitor
from transfer_core.errors import NotFoundError
from transfer_core.language import _

Parameters = ParamSpec("Parameters")


def for_teacher(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Wrap a part of the page or a callback, so that it does nothing for anyone but the teacher.

    A connection may be older than the rights of the person behind it, so each call looks at them again.
    """

    @wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        if visitor().role != "teacher":
            raise NotFoundError(_("Only the teacher can see this."))
        function(*args, **kwargs)

    return guarded(call)
