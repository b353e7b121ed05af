"""Sketches become scenes."""

from .task import SketchToScene

task = SketchToScene()
"""The task's one instance."""
