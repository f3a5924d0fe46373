"""The SageMaker Python SDK as a referee of the pipeline's definition (`make referee`)."""
