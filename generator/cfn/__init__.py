"""CloudFormation's language: YAML, intrinsic functions, identifiers, parameters, schemas.

Nothing in this package knows our stacks.
"""
