"""Base handlers of models that several processes share."""
