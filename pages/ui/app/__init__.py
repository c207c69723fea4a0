"""Every page: its frame, the session, shared state of the server, words and the glossary."""
