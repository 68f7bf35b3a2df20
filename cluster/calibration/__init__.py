"""`crossray calibrate`: match probabilities fitted on captioned photos, and how far they can be trusted."""
