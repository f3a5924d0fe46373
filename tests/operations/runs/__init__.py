"""Tests of runs of the deployed pipeline: real jobs and endpoints in an emulated AWS."""
