"""Deploy the newest approved version of the model, step by step, and roll back a bad one."""
