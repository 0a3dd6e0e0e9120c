"""Neurons that spike with a probability looked up in a table."""
