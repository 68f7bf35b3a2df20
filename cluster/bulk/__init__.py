"""Indexing through Ray Data, inside the cluster that serves."""
