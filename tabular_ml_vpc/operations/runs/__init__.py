"""Runs of the deployed pipeline: start, follow, stop and explain them, and query their endpoint.

`executions` are the runs as SageMaker describes them, `results` their metrics and decisions,
`job_log` the logs of their jobs, `deployed` the state of what they deployed, and `endpoint` sends
requests to it.
"""
