"""What stands for the server in tests of handlers."""
