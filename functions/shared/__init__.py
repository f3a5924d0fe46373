"""Code that all functions share: the responses to CloudFormation, and typed properties."""
