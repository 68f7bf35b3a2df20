"""The web page: a Gradio app over the public HTTP API. It knows HTTP alone: neither Ray, nor encoders, nor indexes."""
