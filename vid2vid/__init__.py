"""vid2vid: video-to-video translation in Python.

`translate()` renders a video with a task, `train()` teaches one from examples, `list_tasks()` tells which tasks are
installed, `evaluate()` measures a result, `estimate()` says how long a film would take and `verify()` what a file tells
of its origin. Everything public is named here and loaded when first used, so that importing costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vid2vid.api import estimate, evaluate, train, translate, verify
    from vid2vid.bundle import Bundle, load_bundle
    from vid2vid.config import BackboneConfig, RenderConfig, TrainConfig
    from vid2vid.errors import (
        BadTimebase,
        BadWeights,
        BrokenPlugin,
        ConsentInvalid,
        ConsentRequired,
        CorruptCheckpoint,
        CorruptInput,
        CorruptWeights,
        DuplicateTask,
        EmptyInput,
        EngineUnavailable,
        InputChanged,
        InputError,
        InputNotFound,
        Interrupted,
        InvalidBundle,
        InvalidExamples,
        InvalidFrames,
        InvalidModel,
        InvalidOption,
        MarkingError,
        ModelError,
        NewerFormat,
        NoDecodableFrames,
        NoFigures,
        NonFiniteOutput,
        NotAVideo,
        NoVideoStream,
        OfflineModelMissing,
        OutOfMemory,
        OutputBusy,
        OutputDiskFull,
        OutputExists,
        OutputIsInput,
        OutputNotWritable,
        PolicyError,
        ReadFailed,
        ReferenceMismatch,
        ReferenceRequired,
        ResourceError,
        TooLarge,
        TooSmall,
        TruncatedInput,
        UnknownTask,
        UnreadableContainer,
        UnsafeFormat,
        UnsupportedCodec,
        UnsupportedModel,
        UsageError,
        Vid2VidError,
        WeightsMismatch,
    )
    from vid2vid.provenance import Verification
    from vid2vid.registry import list_tasks
    from vid2vid.task import NoOptions, Task
    from vid2vid.trained import Trained
    from vid2vid.translation import Translation
    from vid2vid.types import (
        Chunk,
        Conditions,
        Estimate,
        Event,
        Frame,
        KeyPair,
        Metrics,
        Motion,
        Request,
        TaskInfo,
        VideoInfo,
    )

__version__ = "0.1.0"

__all__ = [
    "translate",
    "train",
    "load_bundle",
    "evaluate",
    "estimate",
    "verify",
    "list_tasks",
    "Task",
    "NoOptions",
    "Translation",
    "Trained",
    "Bundle",
    "KeyPair",
    "TaskInfo",
    "Estimate",
    "Metrics",
    "Verification",
    "VideoInfo",
    "Frame",
    "Chunk",
    "Motion",
    "Conditions",
    "Event",
    "Request",
    "BackboneConfig",
    "RenderConfig",
    "TrainConfig",
    "Vid2VidError",
    "UsageError",
    "UnknownTask",
    "InvalidOption",
    "ReferenceRequired",
    "ReferenceMismatch",
    "OutputExists",
    "OutputIsInput",
    "InputError",
    "InputNotFound",
    "EmptyInput",
    "NotAVideo",
    "NoVideoStream",
    "NoDecodableFrames",
    "NoFigures",
    "UnreadableContainer",
    "UnsupportedCodec",
    "TruncatedInput",
    "CorruptInput",
    "ReadFailed",
    "TooSmall",
    "TooLarge",
    "BadTimebase",
    "InvalidFrames",
    "InputChanged",
    "InvalidExamples",
    "ModelError",
    "BrokenPlugin",
    "DuplicateTask",
    "EngineUnavailable",
    "BadWeights",
    "WeightsMismatch",
    "CorruptWeights",
    "UnsafeFormat",
    "InvalidBundle",
    "NewerFormat",
    "CorruptCheckpoint",
    "InvalidModel",
    "UnsupportedModel",
    "OfflineModelMissing",
    "NonFiniteOutput",
    "ResourceError",
    "OutputNotWritable",
    "OutputBusy",
    "OutputDiskFull",
    "OutOfMemory",
    "Interrupted",
    "PolicyError",
    "ConsentRequired",
    "ConsentInvalid",
    "MarkingError",
    "__version__",
]

_HOMES = {
    "vid2vid.api": ("translate", "train", "evaluate", "estimate", "verify"),
    "vid2vid.bundle": ("Bundle", "load_bundle"),
    "vid2vid.config": ("BackboneConfig", "RenderConfig", "TrainConfig"),
    "vid2vid.provenance": ("Verification",),
    "vid2vid.registry": ("list_tasks",),
    "vid2vid.task": ("NoOptions", "Task"),
    "vid2vid.trained": ("Trained",),
    "vid2vid.translation": ("Translation",),
    "vid2vid.types": (
        "Chunk",
        "Conditions",
        "Estimate",
        "Event",
        "Frame",
        "KeyPair",
        "Metrics",
        "Motion",
        "Request",
        "TaskInfo",
        "VideoInfo",
    ),
}  # what is in none of these is an error class
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Loads a public name from its module when it is first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'vid2vid' has no attribute {name!r}")
    value: object = getattr(import_module(_HOME_OF.get(name, "vid2vid.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
