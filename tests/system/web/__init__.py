"""The web page in a real browser. A package, so that the one cluster of these tests ends with them."""
