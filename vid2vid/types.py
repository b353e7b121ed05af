"""The typed values that cross module borders. Importing this module loads no model library.

Convention:
    T frames, C channels, H rows, W columns; frames as tensors are `(T, 3, H, W)` float32 sRGB in [0, 1]; single
    decoded pictures are `(H, W, 3)` uint8 sRGB arrays. Flow is in pixels, channel 0 along x, channel 1 along y.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Picture = NDArray[np.uint8]
    """One `(H, W, 3)` uint8 sRGB picture."""

SourceKind = Literal["file", "folder", "array", "tensor", "frames", "image", "unfolded"]
"""`unfolded`: a clip that a task made of what came in, such as the panels of a sheet in turn."""
AudioMode = Literal["auto", "keep", "effects", "mix", "none"]
AUDIO_MODES: tuple[AudioMode, ...] = ("auto", "keep", "effects", "mix", "none")
Ground = Literal["hard", "wood", "grass", "gravel"]
"""What feet meet: steps, landings and falls sound by it."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of a video before its first frame is decoded. Sizes are upright, after rotation."""

    width: int
    """Columns of the frames handed out."""
    height: int
    """Rows of the frames handed out."""
    fps: Fraction
    """Average frame rate; frames carry their own times where the rate varies."""
    frame_count: int | None
    """Frames as the container declares or as the array holds; None if unknown. Never trusted for allocation."""
    kind: SourceKind
    """Where the frames come from."""
    path: Path | None = None
    """The file or folder; None for arrays."""
    has_audio: bool = False
    """Whether the container has at least one audio stream."""
    codec: str | None = None
    """Name of the video codec, such as `h264`."""
    pixel_format: str | None = None
    """Pixel format as stored, such as `yuv420p10le`."""
    container: str | None = None
    """Short name of the container format."""
    rotation: int = 0
    """Degrees clockwise by which stored pictures are turned to stand upright: 0, 90, 180 or 270."""
    duration_s: float | None = None
    """Length in seconds as declared; None if unknown."""
    notes: tuple[str, ...] = ()
    """What the reader had to decide, in plain words (such as an alpha channel laid on black)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame in display order."""

    pixels: Picture
    """`(H, W, 3)` uint8 sRGB."""
    index: int
    """0-based number in display order."""
    time_s: Fraction
    """Presentation time in seconds, counted from the first frame shown."""
    concealed: bool = False
    """Whether the picture repeats its predecessor because its own data was damaged."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive frames handed to a backbone."""

    frames: Tensor
    """`(T, 3, H, W)` float32 sRGB in [0, 1]."""
    start: int
    """Index of the first frame within the clip."""
    cuts: frozenset[int] = frozenset()
    """Positions within the chunk (0 to T-1) at which a new shot begins."""

    @property
    def length(self) -> int:
        """Number of frames."""
        return int(self.frames.shape[0])


@dataclass(frozen=True, slots=True)
class Motion:
    """Where every pixel of a frame was in the frame before. The first frame of a shot has no history: weight 0."""

    flow: Tensor
    """`(T, 2, H, W)` float32: frame t at x looks like frame t-1 at x + flow."""
    weight: Tensor
    """`(T, 1, H, W)` float32 in [0, 1]: how far the correspondence is to be trusted."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens in the picture and sounds with `audio="effects"` or `"mix"`."""

    kind: str
    """`impact`, `fall`, `landing`, `footfall` or `whoosh`."""
    time_s: float
    """Seconds from the first frame shown: the moment of contact; of a whoosh, its fastest moment."""
    strength: float = 1.0
    """In [0, 1]; less is weaker or farther away."""
    figure: int | None = None
    """Whose it is, from 0; None where that is not known."""
    position: tuple[float, float] | None = None
    """Relative to the frame: x and y in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Everything a backbone may look at for T frames."""

    maps: Mapping[str, Tensor]
    """Condition maps by name, each `(T, C, H, W)` float32."""
    reference: Tensor | None = None
    """`(T, 4, H, W)`: real pixels moved into place (RGB in [0, 1]) and their validity in [0, 1]."""
    motion: Motion | None = None
    """Filled by the pipeline from the source for backbones that carry their last output along."""
    mask: Tensor | None = None
    """`(T, 1, H, W)` in [0, 1]: where the generated picture replaces the source; None for everywhere."""
    tokens: Mapping[str, Tensor] = field(default_factory=dict)
    """Token sequences by name, each `(N, D)`."""
    events: tuple[Event, ...] = ()
    """Events that begin within these frames."""
    notes: tuple[str, ...] = ()
    """What the report should say of these frames."""


@dataclass(frozen=True, slots=True, eq=False)
class KeyPair:
    """One frame of a clip and its version in the wanted look."""

    frame: int
    """Number of the frame in its clip, from 0."""
    source: Picture
    """`(H, W, 3)` uint8 sRGB."""
    look: Picture
    """`(H, W, 3)` uint8 sRGB, of the same size."""
    clip_sha256: str | None = None
    """Hash of the clip's file, in hexadecimal; None where it is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """One thing shown by the caller."""

    pictures: tuple[Picture, ...]
    """`(H, W, 3)` uint8 sRGB; of a clip, its first frame."""
    name: str | None = None
    """As the caller calls it, such as the number of a figure; None in a list."""
    path: Path | None = None
    """Where it comes from; None for arrays."""
    is_clip: bool = False
    """Whether `path` is a video, of which there is more to read."""


@dataclass(frozen=True, slots=True)
class Request:
    """A checked call of `translate()`, as tasks and backbones see it."""

    info: VideoInfo
    """The source."""
    width: int
    """Columns at which the backbone works."""
    height: int
    """Rows at which the backbone works."""
    options: Any
    """The task's own `Options`."""
    references: tuple[Picture, ...] = ()
    """Reference pictures, each `(H, W, 3)` uint8 sRGB at its own size."""
    shown: tuple[Reference, ...] = ()
    """The same references as the caller gave them: with names, and clips that can be read further."""
    keys: tuple[KeyPair, ...] = ()
    """Key frames that a trained bundle brings along; references given in the call take their place."""
    fitted: bool = False
    """Whether a trained bundle's weights run this render, so that the task need not fit any of its own."""
    adapted: bool = False
    """Whether a trained bundle's adapters run it on a pretrained model, which learned what references would show."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """What the bundle's weights were measured at; `source_...` is the same without them."""
    open_source: SourceOpener | None = None
    """Opens the source anew from its first frame, for tasks that look through the clip first; None for iterables."""
    prompt: str | None = None
    consent: str | None = None
    seed: int = 0
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What `list_tasks()` tells of a task without loading any model."""

    name: str
    summary: str
    needs: tuple[str, ...]
    """Any of `reference`, `prompt`, `consent`."""
    options: Mapping[str, str]
    """Option name -> "type, default, what it does"."""
    backbone: str
    """Name of the backbone that runs it by default."""
    bundled: bool
    """Whether weights come with the package."""
    owner: str
    """Distribution that installs the task."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Answer to "how long would this film take on this machine?"."""

    frames: int
    seconds: float
    low_s: float
    """Lower end of the range that the trial supports."""
    high_s: float
    """Upper end of that range."""
    peak_memory_mb: float
    output_mb: float
    fps: float
    """Frames a second in the trial's steady state."""
    note: str
    """How sure this is, in one sentence."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """What `evaluate()` measures; None where the needed clip or network is not there."""

    frames: int
    warp_error: float
    """E_warp of Lai et al. 2018 over pixels in [0, 1]; flow from the source where given."""
    source_warp_error: float | None
    """The same of the source itself."""
    sharpness: float
    """Mean variance of the Laplacian of luma in [0, 255]."""
    source_sharpness: float | None
    motion_degree: float | None
    """Mean flow length of the output over that of the source; 1 keeps the motion, 0 is frozen."""
    psnr_db: float | None
    ssim: float | None
    st_lpips: float | None
    """Shift-tolerant LPIPS to the target (AlexNet); needs the package stlpips-pytorch."""
    source_psnr_db: float | None
    """PSNR of the untouched source to the target: the price of doing nothing."""
    source_st_lpips: float | None
    lpips: float | None
    """LPIPS to the target; needs its backbone in the torch hub cache."""
    clip_consistency: float | None = None
    """Mean cosine of neighbouring frames' CLIP embeddings, times 100; needs CLIP in the hub's cache. A frozen clip has
    100: read it beside `motion_degree`."""
    clip_prompt: float | None = None
    """Mean cosine of frames' CLIP embeddings and the prompt's, times 100; likewise, where a prompt is given."""
    notes: Sequence[str] = ()


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    SourceOpener = Callable[[], AbstractContextManager[Iterator[Frame]]]
