"""Placeholder docstring, replaced with the sub-package."""
