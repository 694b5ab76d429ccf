"""The builder: from a torch module to a bundle. The only role that imports torch."""
