"""Lava Processes and ProcessModels, one sub-package per Process."""
