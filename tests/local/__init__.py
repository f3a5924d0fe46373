"""Tests of the local run; with the Python of `.venv`, and `.venv-local` for the jobs."""
