"""Envelopes: the forms of requests and results that the configuration key service_envelope chooses from."""
