"""What this server answers beside the pages of the app.

The server imports this module before it runs. Modules of this folder must not import a page: Streamlit forgets
components and caches that are declared so early.
"""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from pages.ui.server import phone, web_page

ROUTES: list[BaseRoute] = [*web_page.ROUTES, *phone.ROUTES]
MIDDLEWARE: list[Middleware] = []
