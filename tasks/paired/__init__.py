"""Paired: any look, learned from a few painted key frames of a clip or from clips before and after."""

from .task import Paired

task = Paired()
