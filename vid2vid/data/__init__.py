"""Training data: windows of clips."""

from vid2vid.data.windows import ClipWindows

__all__ = ["ClipWindows"]
