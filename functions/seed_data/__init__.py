"""Write a synthetic table where the pipeline reads its input."""
