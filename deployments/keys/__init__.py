"""API keys: what they are, where they are kept, and how a request is checked against them.

`api_key` says what a key is, `store` keeps their digests in the database, `ring` is what a replica knows of them,
`scopes` has what each route asks for, `rates` how often a key may call, and `guard` puts these before the routes.
"""
