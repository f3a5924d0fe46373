"""The report about a run: one HTML page that needs nothing but itself.

`charts` draws, `page` puts together what the jobs left and what the run recorded.
"""
