"""Looking into a bundle: show, cuts, verify."""
