"""Indexes of vectors: what they promise (`base`), what goes wrong (`errors`), and how one is opened (`open`)."""
