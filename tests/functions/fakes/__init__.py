"""AWS in memory: real boto3 clients whose requests end in a small backend."""
