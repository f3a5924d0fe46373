"""What every function shares: the boundary that answers CloudFormation, and typed properties."""
