"""Measurements that ``make bench`` writes into ``docs/benchmarks.md``; nothing here is a test.

A ``bench_*.py`` is a program: it measures, and puts its section into the page with
``page.replace_section``. What takes long or needs another environment gets a program of its own.
"""
