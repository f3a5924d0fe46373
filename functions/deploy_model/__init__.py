"""Deploy what somebody approved."""
