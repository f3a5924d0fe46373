"""The generator of the CloudFormation templates."""
