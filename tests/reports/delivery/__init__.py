"""Workflows of continuous delivery, and the comment on a pull request."""
