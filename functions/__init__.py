"""Lambda functions behind the templates' custom resources."""
