"""What helps to test handlers."""
