"""The page for reviewers: what it says, and how it behaves in a browser."""
