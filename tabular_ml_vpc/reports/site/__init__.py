"""One page for reviewers: pictures, parameters, resources, permissions, cost, checks.

``content`` reads everything from the templates; ``page`` writes it as one HTML file that needs no
other file and no network.
"""
