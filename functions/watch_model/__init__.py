"""Check for drift what the endpoint is asked, and start runs for new data or for drift."""
