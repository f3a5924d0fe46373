"""Write a synthetic table to the pipeline's input location."""
