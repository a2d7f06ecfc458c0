"""Helpers for models that several processes share."""
