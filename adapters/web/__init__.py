"""The dashboard: a page that the daemon serves itself, and what the page asks for."""
