"""Faults at every call of every function: `python -m tests.reliability` writes the page."""
