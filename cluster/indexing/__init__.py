"""Indexing files into a running server: find them, skip what it has, upload the rest."""
