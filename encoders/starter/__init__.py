"""The offline starter encoder: see `encoder.py` for what it is and `space.py` for how it works."""

from encoders.starter.encoder import StarterEncoder, StarterPreparer

__all__ = ["StarterEncoder", "StarterPreparer"]
