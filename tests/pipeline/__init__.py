"""Tests of the pipeline's definition, its checker and the job scripts' pure parts."""
