"""The contract of a task: what to look at, what to align, and where to put the result.

A task is one stateless object shared by all renders. What lives for one render sits in its `Setup`. Importing this
module loads no model library, so that tasks can be listed quickly; a task imports what it needs inside its methods.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from vid2vid.config import BackboneConfig

if TYPE_CHECKING:
    import torch

    from vid2vid.config import TrainConfig
    from vid2vid.data.examples import Examples
    from vid2vid.io import FrameSource
    from vid2vid.lesson import FittedGenerator, Lesson
    from vid2vid.provenance.facts import DigitalSource
    from vid2vid.types import AudioMode, Chunk, Conditions, Ground, Picture, Request

SetupT = TypeVar("SetupT")


@dataclasses.dataclass(frozen=True, slots=True)
class NoOptions:
    """Options of a task that has none."""


class Task(ABC, Generic[SetupT]):
    """One translation: conditions from source frames, an aligned reference, a composite.

    Subclass it, set the class variables, implement `setup` and `condition`, and declare an instance under the
    entry-point group `vid2vid.tasks`; `translate()` then finds it by name.
    """

    name: ClassVar[str]
    """Name of the entry point, lower case with underscores."""
    summary: ClassVar[str]
    """One line for `vid2vid tasks`."""
    backbone: ClassVar[BackboneConfig] = BackboneConfig()
    """The generator used when the caller names none."""
    channels: ClassVar[Mapping[str, int]]
    """Condition map -> its number of channels; the generator's stem is built from it."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Any of `reference`, `prompt`, `consent`: checked before a model loads."""
    source_type: ClassVar[DigitalSource] = "compositeWithTrainedAlgorithmicMedia"
    """What the signed manifest calls the result, in the IPTC's words: `trainedAlgorithmicMedia` where a trained network
    makes every pixel, `compositeWithTrainedAlgorithmicMedia` where parts come from it or from elsewhere,
    `algorithmicallyEnhanced` where the picture stays what it was and is only corrected."""
    prompt: ClassVar[str] = ""
    """What a pretrained model is told to make where the call gives no prompt."""
    controls: ClassVar[Mapping[str, str]] = {}
    """Which of its maps are what a pretrained model takes: `pose`, `line_art`, `depth`, `mask` or `plate` -> its name.
    A map that some frames lack is drawn from the frames there."""
    supervision: ClassVar[Literal["paired", "self"]] = "paired"
    """`self`: conditions can be derived from target footage alone."""
    audio: ClassVar[AudioMode] = "keep"
    """What `audio="auto"` means for this task."""
    keeps_detail: ClassVar[bool] = True
    """Where the working size is below the source's: whether the change is enlarged and added to the source, whose own
    detail then stays, or the picture itself is enlarged."""
    Options: ClassVar[type[Any]] = NoOptions
    """A frozen dataclass with a default for every field: the task's own keyword options."""

    def unfold(self, source: FrameSource, options: Any) -> FrameSource:
        """Gives the clip that is rendered, where that is not what came in: of a sheet of drawings, its panels in turn.

        Called before anything else, and no model is loaded yet. The source is given back as it is by default.

        Args:
            source: at its first frame. Whoever gives back another one closes this.
            options: the task's own `Options`.

        Raises:
            InputError: the source does not show what it should.
        """
        return source

    @abstractmethod
    def setup(self, request: Request, device: torch.device) -> SetupT:
        """Loads models and looks at references: everything that lives for one render.

        Raises:
            InputError, UsageError: if a reference cannot be used.
        """

    def bare(self, options: Any) -> Any:
        """The options under which a pretrained model works over this task's pictures: without finishing touches.

        Args:
            options: the task's own `Options`, as given.
        """
        return options

    def generator(self, request: Request, setup: SetupT, device: torch.device) -> FittedGenerator | None:
        """Fits a generator for this render alone, such as one that knows its key frames; None takes the task's own.

        Called once, after `setup` and before the first frame. `condition()` must then give the maps that it names.
        """
        return None

    def canvas(self, setup: SetupT) -> tuple[int, int] | None:
        """Height and width of the maps, where they are not the frame but pictures that the task cuts from it.

        What the generator makes of them then reaches `composite` as it is, and the task puts it back; `condition` has
        to give the motion of those pictures. None, the default, is for tasks whose maps are the frame's.
        """
        return None

    @abstractmethod
    def condition(self, chunk: Chunk, setup: SetupT) -> Conditions:
        """Derives what the generator looks at. Sees each frame once, in order; may keep memory in `setup`.

        Args:
            chunk: frames `(T, 3, H, W)` at the working size.
            setup: the render's own, changed in place where the task keeps track of something.

        Returns:
            Maps named and shaped as `channels` says, `reference` `(T, 4, H, W)` where the task aligns one.
        """

    def composite(self, source: Chunk, generated: torch.Tensor, conditions: Conditions, setup: SetupT) -> torch.Tensor:
        """Puts the generated picture in place; the default blends by `conditions.mask`.

        Args:
            source: frames `(T, 3, H, W)` at the output's size.
            generated: `(T, 3, H, W)` in [0, 1] at the output's size, or at that of `canvas`.
            conditions: as given by `condition`; masks stay at the working size.
            setup: the render's own.

        Returns:
            `(T, 3, H, W)` in [0, 1] at the output's size.
        """
        from vid2vid.composite import blend

        return blend(source.frames, generated, conditions.mask)

    def ground(self, setup: SetupT) -> Ground:
        """What feet meet in this clip, for the sound of steps and falls; asked once, after the last frame."""
        return "hard"

    def recall(self, setup: SetupT, fitted: FittedGenerator) -> None:  # most tasks need nothing
        """Told, in place of `generator`, that a resumed render goes on with the generator fitted before."""

    def save_memory(self, setup: SetupT) -> Mapping[str, torch.Tensor]:
        """What `composite` keeps in the setup from frame to frame, as named tensors; nothing by default.

        Asked when a segment of the film is finished. What `condition` keeps is not wanted: a resumed render lets it see
        all frames again.
        """
        return {}

    def load_memory(self, setup: SetupT, memory: Mapping[str, torch.Tensor]) -> None:
        """Puts back what `save_memory` gave, before `composite` goes on with the next frame."""

    def report(self, setup: SetupT) -> Mapping[str, Any]:
        """JSON values about this render for the report: what was found, chosen or given up."""
        return {}

    def simulate(self, target: Picture, seed: int, index: int) -> Picture:
        """Makes the source that a target might have come from, for tasks that learn from targets alone.

        Args:
            target: `(H, W, 3)` uint8 sRGB, one frame of live footage.
            seed: the same for all frames of one passage, so that they come out in one style.
            index: number of the frame within the passage.

        Returns:
            `(H, W, 3)` uint8 sRGB of the same size; the default is the target itself, for tasks whose conditions drop
            what the generator is to bring back.
        """
        return target

    def lesson(self, examples: Examples, config: TrainConfig) -> Lesson | None:
        """Says how this task is taught from examples; None takes the general way.

        The general way reads windows of the examples, derives maps by `condition()`, and teaches the task's own
        backbone in closed loop with the losses of `loss_weights()`.

        Raises:
            InputError, UsageError: the examples cannot teach this task.
        """
        return None

    def loss_weights(self) -> Mapping[str, float]:
        """Weights of the training losses by name; see `vid2vid.losses`."""
        return {"l1": 2.0, "gradient": 1.0, "perceptual": 4.0, "temporal": 0.5}
