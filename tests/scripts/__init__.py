"""Tests of the job scripts; they need what the job images hold (`make local`)."""
