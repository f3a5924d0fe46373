"""Generate the CloudFormation templates."""
