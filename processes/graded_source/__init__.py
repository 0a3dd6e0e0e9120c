"""A Process that sends given integers."""
