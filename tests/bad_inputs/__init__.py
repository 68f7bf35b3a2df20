"""Requests that must be refused: one table for the API in this process and for a real cluster over HTTP."""
