"""The report about a run: one self-contained HTML page.

`charts` draws; `page` combines the jobs' results with the record of the run.
"""
