"""One page for reviewers: picture, parameters, resources, rights, cost, checks.

``content`` reads everything from the templates, ``page`` writes it as HTML that needs nothing
else: no file, no network.
"""
