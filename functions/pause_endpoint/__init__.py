"""Pause and resume an endpoint on a schedule."""
