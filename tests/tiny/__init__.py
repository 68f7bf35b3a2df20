"""Tiny models with random weights, built in seconds: the shapes and the wiring of the real ones, a millionth of their size."""
