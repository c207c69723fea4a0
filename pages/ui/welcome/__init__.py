"""The one-screen quick start on the welcome page."""
