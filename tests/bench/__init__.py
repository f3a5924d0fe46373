"""Measurements, run by `make bench`: each beside something to compare it with, in one run.

Not tests: nothing here asserts, and `make test` does not run it. The figures are kept in
`docs/benchmarks.md`, with the machine they were measured on.
"""
