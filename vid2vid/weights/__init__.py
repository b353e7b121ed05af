"""Weights that no task owns: what fits of a look start from. Their card is README.md."""
