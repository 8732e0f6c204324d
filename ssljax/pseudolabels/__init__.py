"""Pseudo-labels: generate, select, refine, measure, and again. Nothing here names a task."""
