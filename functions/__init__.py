"""Lambda functions behind the custom resources of the templates.

Each package holds ``properties`` (what the template gives), ``core`` (what is decided and done)
and ``handler`` (how an event reaches the core).
"""
