"""Actor swap: somebody else takes over the part of a person in a film, from one photo or a clip."""

from .task import ActorSwap

task = ActorSwap()
