"""The server: the pages of the app and its routes beside them. Started by `streamlit run app.py`."""

import streamlit as st

from pages.ui.server.routes import LIFESPAN, MIDDLEWARE, ROUTES
from pages.ui.server.service import hold_workspace_of_class, make_service
from transfer_core.classroom.facts import is_class_mode

make_service()
if is_class_mode():
    hold_workspace_of_class()

# Streamlit looks for this assignment. It runs the script below for each visitor, and the files in `pages/` with it.
app = st.App("welcome.py", routes=ROUTES, middleware=MIDDLEWARE, lifespan=LIFESPAN)
