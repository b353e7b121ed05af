"""Face swap: another person's face on a clip's, from one photo at once or better after training."""

from .task import FaceSwap

task = FaceSwap()
