"""The server beside the pages: its routes, its middleware, and the work that all its people share."""
