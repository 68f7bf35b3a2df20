"""`make demo`: a cluster, real photos, real questions, ranked answers; then everything is stopped again."""
