"""Delete the apps and spaces that block the deletion of a Studio domain."""
