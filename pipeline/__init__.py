"""The SageMaker pipeline: its definition, its checker and its job scripts."""
