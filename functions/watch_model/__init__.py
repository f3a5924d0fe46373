"""Check what the endpoint is asked and answers, and start runs for new data or for drift."""
