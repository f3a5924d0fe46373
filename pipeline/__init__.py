"""The SageMaker pipeline: its definition, the checker of definitions, and the job scripts."""
