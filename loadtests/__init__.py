"""Load tests and benchmarks. Servers are driven over HTTP, as any client would."""

import os

# As a cluster sets it for its replicas (cluster.environment), so that what is measured without one computes alike.
# numpy reads it when it is first imported, which is after this.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
