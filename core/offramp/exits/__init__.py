"""Exit policies: who is sure enough to leave at a branch."""
