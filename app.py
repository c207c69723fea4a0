"""The server: the pages of the app and, beside them, the exported web pages. Started by `streamlit run app.py`."""

import streamlit as st

from pages.ui.export.serving import ROUTES

# Streamlit looks for this assignment. It runs the script below for each visitor, and the files in `pages/` with it.
app = st.App("welcome.py", routes=ROUTES)
