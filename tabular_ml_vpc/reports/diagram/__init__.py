"""Pictures of the templates and the pipeline, drawn from them and from nothing else.

``pictures.render`` gives every file: SVG in light and dark, and Mermaid. The layout is our
own and deterministic: the same templates give the same bytes.
"""
