"""The public surface, name by name: a change here is a change of the interface."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import vid2vid
from vid2vid import errors

FUNCTIONS = {"translate", "train", "load_bundle", "evaluate", "estimate", "list_tasks", "verify"}
CLASSES = {
    "Task", "NoOptions", "Translation", "TaskInfo", "Estimate", "Metrics", "VideoInfo", "Frame", "Chunk", "Motion",
    "Conditions", "Event", "Request", "BackboneConfig", "RenderConfig", "TrainConfig", "Trained", "Bundle", "KeyPair",
    "Verification",
}  # fmt: skip
ERRORS = {
    "Vid2VidError", "UsageError", "UnknownTask", "InvalidOption", "ReferenceRequired", "ReferenceMismatch",
    "OutputExists", "OutputIsInput", "InputError", "InputNotFound", "EmptyInput", "NotAVideo", "NoVideoStream",
    "NoDecodableFrames", "UnreadableContainer", "UnsupportedCodec", "TruncatedInput", "CorruptInput", "TooSmall",
    "ReadFailed",
    "TooLarge", "BadTimebase", "InvalidFrames", "ModelError", "BrokenPlugin", "DuplicateTask", "EngineUnavailable",
    "BadWeights", "WeightsMismatch", "CorruptWeights", "UnsafeFormat", "NonFiniteOutput", "ResourceError",
    "OutputNotWritable", "OutputBusy", "OutputDiskFull", "OutOfMemory", "PolicyError", "ConsentRequired",
    "ConsentInvalid", "MarkingError",
    "InputChanged", "Interrupted", "InvalidExamples", "InvalidBundle", "NewerFormat", "CorruptCheckpoint", "NoFigures",
    "InvalidModel", "UnsupportedModel", "OfflineModelMissing",
}  # fmt: skip


def test_the_public_names_are_exactly_these() -> None:
    assert sorted(vid2vid.__all__) == sorted(FUNCTIONS | CLASSES | ERRORS | {"__version__"})
    assert len(vid2vid.__all__) == len(set(vid2vid.__all__))
    assert dir(vid2vid) == sorted(vid2vid.__all__)


def test_every_public_name_loads_and_is_documented() -> None:
    for name in FUNCTIONS:
        assert inspect.isfunction(getattr(vid2vid, name)), name
    for name in CLASSES | ERRORS:
        assert inspect.isclass(getattr(vid2vid, name)), name
    for name in FUNCTIONS | CLASSES | ERRORS:
        assert inspect.getdoc(getattr(vid2vid, name)), name


def test_every_error_is_public_and_has_a_code_of_its_own() -> None:
    defined = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind)}
    assert set(defined) == ERRORS
    codes = [kind.code for kind in defined.values()]
    assert len(codes) == len(set(codes))
    assert {kind.exit_code for kind in defined.values()} == {1, 2, 3, 4, 5, 6, 130}


def test_a_name_that_is_not_there_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'teach'"):
        vid2vid.teach  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError):
        from vid2vid import nothing_of_this_name  # type: ignore[attr-defined]  # noqa: F401


def test_translate_takes_the_documented_words() -> None:
    words = list(inspect.signature(vid2vid.translate).parameters)
    assert words == [
        "video", "task", "output", "reference", "prompt", "backbone", "audio", "consent", "size", "device", "dtype",
        "engine", "seed", "strength", "fps", "stream", "events", "stems", "overwrite", "resume", "strict", "progress",
        "options",
    ]  # fmt: skip
    assert inspect.signature(vid2vid.evaluate).return_annotation == "Metrics"


def test_train_takes_the_documented_words() -> None:
    words = list(inspect.signature(vid2vid.train).parameters)
    assert words == ["examples", "task", "output", "clip", "minutes", "steps", "resume", "config"]
    document = inspect.getdoc(vid2vid.train)
    assert document is not None
    for field in dataclasses.fields(vid2vid.TrainConfig):
        assert f"{field.name}" in document, field.name
