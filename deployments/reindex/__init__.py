"""Building a version of a collection beside the live one, and measuring what versions find. The protocol by which it
takes over is told in `deployments.catalog`."""
