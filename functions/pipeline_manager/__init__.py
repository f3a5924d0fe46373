"""Manage the SageMaker pipeline, its code and, at deletion, what its runs created."""
