"""Retrieval quality on a folder of captioned photos: recall at k and median rank, in one process, without a cluster."""
