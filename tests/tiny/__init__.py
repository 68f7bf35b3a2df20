"""Tiny models with random weights: the shapes and the wiring of the real ones, built in about a second."""
