"""Close the VPC's default security group and look up the S3 prefix list."""
