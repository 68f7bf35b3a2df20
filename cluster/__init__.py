"""The cluster: settings, the builder that wires the graph, and the command line."""
