"""What this server answers beside the pages of the app.

The server imports this module before it runs. Modules of this folder must not import a page: Streamlit forgets
components and caches that are declared so early.
"""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from pages.ui.server import api, certificate, class_routes, join, phone, web_page
from pages.ui.server.attendance import NotesAttendance
from pages.ui.server.front_end import FrontEndFiles
from pages.ui.server.gate import Gate
from pages.ui.server.service import lifespan
from pages.ui.server.visitor_language import SpeaksToVisitor

ROUTES: list[BaseRoute] = [
    *certificate.ROUTES,
    *join.ROUTES,
    *phone.ROUTES,
    *web_page.ROUTES,
    *api.ROUTES,
    *class_routes.ROUTES,
]
MIDDLEWARE = [
    Middleware(SpeaksToVisitor),
    Middleware(Gate),
    Middleware(FrontEndFiles),
    Middleware(NotesAttendance),
]
LIFESPAN = lifespan
