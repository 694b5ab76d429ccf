"""Training a trunk and its branches together."""
