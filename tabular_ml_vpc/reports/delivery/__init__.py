"""Continuous delivery of a user's project: workflows, and the comment on a pull request."""
