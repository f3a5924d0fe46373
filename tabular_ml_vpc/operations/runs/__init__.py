"""Runs of the deployed pipeline: started, followed, stopped, explained, and their endpoint asked.

`executions` is what SageMaker says of them, `results` what they found, `job_log` what their jobs
wrote, `endpoint` the requests to what they deployed, `view` how all of it is shown.
"""
