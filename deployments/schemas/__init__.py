"""What goes over HTTP: every request and answer body, checked here and nowhere else, a module for each endpoint.

Images travel in JSON as base64 or as a `data:` URI; a URL is refused, never fetched. Texts are texts: a URL given as
text is embedded as the text it is. Unknown fields are errors, so a misspelt option is never ignored.
"""
