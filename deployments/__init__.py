"""Deployments: plain classes that Serve runs, HTTP in and hits out. The Ray wiring is in cluster/app.py."""
