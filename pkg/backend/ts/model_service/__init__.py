"""Services in the form of MXNet Model Server, from before handlers."""
