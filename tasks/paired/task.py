"""The task: key frames carried along the clip's flow as reference, and a generator fitted to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from vid2vid.config import BackboneConfig
from vid2vid.errors import ReferenceRequired
from vid2vid.options import KeyFrameOptions
from vid2vid.task import Task

if TYPE_CHECKING:
    import torch

    from vid2vid.config import TrainConfig
    from vid2vid.data.examples import Examples
    from vid2vid.lesson import FittedGenerator, Lesson
    from vid2vid.motion.keyed_clip import KeyedClip
    from vid2vid.provenance import DigitalSource
    from vid2vid.types import Chunk, Conditions, Request


class Paired(Task["KeyedClip"]):
    """Learns a look from pictures before and after, and renders whole clips in it.

    A bundle from `train()` brings its key frames along. Without one, the references given are painted versions of the
    clip's own frames, and the look is fitted to them before rendering.
    """

    name: ClassVar[str] = "paired"
    summary: ClassVar[str] = "Any look, learned from one to eight painted key frames or from clips before and after."
    source_type: ClassVar[DigitalSource] = "trainedAlgorithmicMedia"
    backbone: ClassVar[BackboneConfig] = BackboneConfig(
        width=24, blocks=(1, 2, 3), reduction=2, recurrent=False, textured=False
    )
    channels: ClassVar[Mapping[str, int]] = {"source": 3, "original": 3, "key_source": 3}
    prompt: ClassVar[str] = "the same scene in the look of the picture given, consistent, detailed"
    keeps_detail: ClassVar[bool] = False
    Options: ClassVar[type[Any]] = KeyFrameOptions

    def setup(self, request: Request, device: torch.device) -> KeyedClip:
        """Finds the key frames in the clip and follows them through it.

        Raises:
            ReferenceRequired: neither references nor a bundle.
            InvalidOption, ReferenceMismatch: references that do not fit the clip.
        """
        from vid2vid.motion.keyed_clip import find_keys, no_keys

        if request.adapted and not request.references:
            return no_keys()
        if not request.references and not request.keys:
            raise ReferenceRequired(
                "The task 'paired' needs reference=: painted versions of frames of this clip. To use a look that was "
                "trained before, give its bundle: translate(video, task='bundles/my_look')."
            )
        return find_keys(request, request.options.key_frames)

    def generator(self, request: Request, setup: KeyedClip, device: torch.device) -> FittedGenerator | None:
        """The look of the references, fitted in `minutes`; none where a bundle brings its own or minutes are 0."""
        options: KeyFrameOptions = request.options
        if request.fitted or options.minutes <= 0 or request.open_source is None:
            return None
        from vid2vid.look_fitting import fit_look

        return fit_look(setup, request, options.minutes, options.preset, device)

    def condition(self, chunk: Chunk, setup: KeyedClip) -> Conditions:
        """The frame in the look's colours, itself, and key frames carried onto it."""
        from vid2vid.looks import look_conditions

        return look_conditions(chunk, setup)

    def report(self, setup: KeyedClip) -> Mapping[str, Any]:
        """Which key frames were found where."""
        keys = setup.facts()
        said = f"{len(keys)} key frames of this clip" if keys else "no key frame of this clip; the look was learned"
        return {"key_frames": keys, "summary": f"look from examples: {said}"}

    def lesson(self, examples: Examples, config: TrainConfig) -> Lesson:
        """Key frames with their clip, or clips and pictures before and after."""
        from .lesson import paired_lesson

        return paired_lesson(examples, config)
