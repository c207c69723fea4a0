"""The interface: `app` and `components` for every page, and a folder a page."""
