"""Empty a bucket before its stack is deleted, if the stack tagged it for that."""
