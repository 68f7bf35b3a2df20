"""Load tests and benchmarks. Servers are driven over HTTP, as any client would."""
