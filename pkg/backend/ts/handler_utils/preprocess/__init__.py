"""Helpers that prepare data for models."""
