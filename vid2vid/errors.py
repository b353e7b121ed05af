"""Every error vid2vid raises on purpose.

    Vid2VidError
    ├── UsageError (exit 2)      the call itself is wrong
    │   ├── UnknownTask, InvalidOption, ReferenceRequired, ReferenceMismatch
    │   └── OutputExists, OutputIsInput
    ├── InputError (exit 3)      the video, image or folder given
    │   ├── InputNotFound, EmptyInput, NotAVideo, NoVideoStream, NoDecodableFrames
    │   ├── UnreadableContainer, UnsupportedCodec, TruncatedInput, CorruptInput, ReadFailed
    │   ├── TooSmall, TooLarge, BadTimebase, InvalidFrames
    │   ├── InvalidExamples, InputChanged
    │   └── NoFigures
    ├── ModelError (exit 4)      tasks, backbones and their weights
    │   ├── BrokenPlugin, DuplicateTask, EngineUnavailable
    │   ├── InvalidBundle, NewerFormat
    │   ├── BadWeights, WeightsMismatch, CorruptWeights, UnsafeFormat, NonFiniteOutput
    │   ├── InvalidModel, UnsupportedModel, OfflineModelMissing
    │   └── CorruptCheckpoint
    ├── ResourceError (exit 5)   disk, memory, permissions
    │   └── OutputNotWritable, OutputBusy, OutputDiskFull, OutOfMemory
    ├── Interrupted (exit 130)   Ctrl-C or a polite kill, on the command line
    └── PolicyError (exit 6)     rules of responsible use
        └── ConsentRequired, ConsentInvalid, MarkingError

A message names the thing, the value got, what is allowed and the next step. `code` is stable and meant for programs;
`exit_code` is what the command line returns.
"""

from __future__ import annotations

from typing import ClassVar


class Vid2VidError(Exception):
    """Root of the tree; catch this to catch everything vid2vid raises on purpose."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1


class UsageError(Vid2VidError):
    """The call is wrong: a name, an option or a path that cannot be used as asked."""

    code = "usage"
    exit_code = 2


class UnknownTask(UsageError):
    """No installed task has this name."""

    code = "unknown_task"


class InvalidOption(UsageError):
    """An option is misspelt, has the wrong type or lies outside its range."""

    code = "invalid_option"


class ReferenceRequired(UsageError):
    """The task cannot start without a reference."""

    code = "reference_required"


class ReferenceMismatch(UsageError):
    """A reference cannot be used with this video, for instance a key frame that shows none of its frames."""

    code = "reference_mismatch"


class OutputExists(UsageError):
    """The output is there already and `overwrite` is off."""

    code = "output_exists"


class OutputIsInput(UsageError):
    """Output and input are the same file."""

    code = "output_is_input"


class InputError(Vid2VidError):
    """The video, image or folder given cannot be read as asked."""

    code = "input"
    exit_code = 3


class InputNotFound(InputError):
    """There is no regular file or folder at this path."""

    code = "input_not_found"


class EmptyInput(InputError):
    """The file has no bytes, the folder no images or the array no frames."""

    code = "empty_input"


class NotAVideo(InputError):
    """The content is no video or image that can be recognised."""

    code = "not_a_video"


class NoVideoStream(InputError):
    """The container holds no moving pictures (sound only, or cover art)."""

    code = "no_video_stream"


class NoDecodableFrames(InputError):
    """The stream is there, yet not one frame can be decoded."""

    code = "no_decodable_frames"


class UnreadableContainer(InputError):
    """The container is damaged beyond what can be recovered."""

    code = "unreadable_container"


class UnsupportedCodec(InputError):
    """No decoder for this codec is available."""

    code = "unsupported_codec"


class TruncatedInput(InputError):
    """The file ends early and `strict` is on."""

    code = "truncated_input"


class CorruptInput(InputError):
    """More frames are damaged than is allowed."""

    code = "corrupt_input"


class ReadFailed(InputError):
    """The system cannot read a part of the file, as from a failing disk or a lost connection."""

    code = "read_failed"


class TooSmall(InputError):
    """The frames are smaller than anything can be made of."""

    code = "too_small"


class TooLarge(InputError):
    """The frames have more pixels than the limit."""

    code = "too_large"


class BadTimebase(InputError):
    """The frame rate or time base makes no sense."""

    code = "bad_timebase"


class InvalidFrames(InputError):
    """An array, tensor or iterable does not hold frames in the documented form."""

    code = "invalid_frames"


class InvalidExamples(InputError):
    """Training examples cannot be used; the message lists each with its reason."""

    code = "invalid_examples"


class NoFigures(InputError):
    """There is no drawn figure in the clip or picture."""

    code = "no_figures"


class InputChanged(InputError):
    """The source is not what it was when the render began."""

    code = "input_changed"


class ModelError(Vid2VidError):
    """A task, a backbone or its weights cannot be used."""

    code = "model"
    exit_code = 4


class BrokenPlugin(ModelError):
    """An installed task cannot be loaded; the message names the distribution that owns it."""

    code = "broken_plugin"


class DuplicateTask(ModelError):
    """Two distributions install a task under one name; the message names both."""

    code = "duplicate_task"


class EngineUnavailable(ModelError):
    """The engine, device or number format asked for is not available on this machine."""

    code = "engine_unavailable"


class InvalidBundle(ModelError):
    """A trained bundle is incomplete, or its description says something that cannot be."""

    code = "invalid_bundle"


class NewerFormat(ModelError):
    """A trained bundle was written in a format that this version does not know yet."""

    code = "newer_format"


class BadWeights(ModelError):
    """A weight tensor holds values that are not finite."""

    code = "bad_weights"


class WeightsMismatch(ModelError):
    """Names or shapes of the weights are not those of the network."""

    code = "weights_mismatch"


class CorruptWeights(ModelError):
    """The weights file is damaged or not a safetensors file."""

    code = "corrupt_weights"


class CorruptCheckpoint(ModelError):
    """No checkpoint of a training is complete and as it was written."""

    code = "corrupt_checkpoint"


class UnsafeFormat(ModelError):
    """The file could run code when opened (a pickle), or a bundle names a file outside its own folder."""

    code = "unsafe_format"


class InvalidModel(ModelError):
    """A folder or hub's repository holds no whole diffusers model."""

    code = "invalid_model"


class UnsupportedModel(ModelError):
    """A pretrained model of a kind that no family of backbones runs."""

    code = "unsupported_model"


class OfflineModelMissing(ModelError):
    """A pretrained model is not on this machine and cannot be fetched; the message says how to place it."""

    code = "offline_model_missing"


class NonFiniteOutput(ModelError):
    """A backbone produced a frame that holds NaN or infinity."""

    code = "non_finite_output"


class ResourceError(Vid2VidError):
    """Disk, memory or permission is missing."""

    code = "resources"
    exit_code = 5


class OutputNotWritable(ResourceError):
    """The output's folder is missing or may not be written."""

    code = "output_not_writable"


class OutputBusy(ResourceError):
    """Another render is writing the same output."""

    code = "output_busy"


class OutputDiskFull(ResourceError):
    """The disk filled up while writing."""

    code = "output_disk_full"


class OutOfMemory(ResourceError):
    """The machine or the accelerator has not enough memory."""

    code = "out_of_memory"


class Interrupted(Vid2VidError):
    """The render was stopped from outside; the message says how to go on. From Python it is a KeyboardInterrupt."""

    code = "interrupted"
    exit_code = 130


class PolicyError(Vid2VidError):
    """A rule of responsible use forbids the call."""

    code = "policy"
    exit_code = 6


class ConsentRequired(PolicyError):
    """The task shows a person and `consent` was not given."""

    code = "consent_required"


class ConsentInvalid(PolicyError):
    """A consent record is no such record, has expired, or does not cover this call."""

    code = "consent_invalid"


class MarkingError(PolicyError):
    """An output could not be signed or marked, so it is not made: a key or certificate is missing or unusable."""

    code = "marking"
