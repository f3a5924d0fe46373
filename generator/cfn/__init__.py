"""CloudFormation's language: YAML, intrinsic functions, identifiers, parameters, schemas.

Nothing in here knows our stacks.
"""
