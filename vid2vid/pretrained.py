"""A call that names a pretrained model as its backbone: its words sorted and checked, and the model built.

Importing this module loads no model library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vid2vid.backbones.diffusion.family import family_of, get_family
from vid2vid.backbones.diffusion.key_options import KeyFramesOptions
from vid2vid.backbones.diffusion.location import check_folder, fingerprint, is_location, parse_location
from vid2vid.backbones.diffusion.options import DiffusionOptions
from vid2vid.errors import InvalidOption
from vid2vid.options import read_options

if TYPE_CHECKING:
    import torch

    from vid2vid.backbones.base import Backbone
    from vid2vid.backbones.diffusion.family import Family
    from vid2vid.backbones.diffusion.location import Location
    from vid2vid.config import NumberFormat
    from vid2vid.task import Task

OPTION_NAMES = tuple(field.name for field in dataclasses.fields(KeyFramesOptions))
"""Of `diffusers:` and `keyframes:`, to tell what a misspelt one may have meant."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """The pretrained model that a call names."""

    backbone: str
    """As the caller gave it: `diffusers:<hub id or folder>[@revision]` or `keyframes:...`."""
    location: Location
    options: DiffusionOptions
    family: str | None
    """Name of its family; None for a model of a hub, which is only known once it is there."""
    prompt: str
    """What the task says where the call gives no prompt."""
    controls: Mapping[str, str]
    """Control kind, `mask` or `plate` -> name of the task's map."""

    @property
    def in_windows(self) -> bool:
        """Whether the model itself makes every frame, instead of key frames alone."""
        return self.location.scheme == "diffusers"

    def told(self) -> Mapping[str, Any]:
        """JSON values that tell one call's model from another's."""
        location = self.location
        named = {"backbone": str(location), "folder": None, "options": dataclasses.asdict(self.options)}
        if location.folder is not None:
            named["folder"] = fingerprint(location.folder, check_folder(location.folder))
        return named

    def build(self, device: torch.device, dtype: NumberFormat, size: tuple[int, int]) -> Backbone[Any]:
        """Loads the model; see `vid2vid.backbones.diffusion.build_diffusion`."""
        from vid2vid.backbones.diffusion import build_diffusion

        return build_diffusion(
            self.backbone,
            self.options,
            device=device,
            dtype=dtype,
            controls=self.controls,
            prompt=self.prompt,
            size=size,
        )

    def window(self) -> int:
        """Frames of a window; 1 for streams, for key frames, and while the family is not known."""
        from vid2vid.backbones.diffusion.choosing import windows_of

        known = self.family is not None and self.in_windows
        return windows_of(get_family(str(self.family)), self.options)[0] if known else 1

    def short_side(self) -> int | None:
        """Short side in pixels that the family recommends; None while the family is not known."""
        if self.family is None:
            return None
        usual = get_family(self.family).recommended
        return min(usual.width, usual.height)


def split_options(
    task: Task[Any], backbone: str | None, given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The task's own options, and those of a pretrained model; where both have a name, it is the task's."""
    own = {field.name for field in dataclasses.fields(task.Options)}
    if not is_location(backbone):
        return dict(given), {}
    wanted = {field.name for field in dataclasses.fields(_options_of(backbone))}
    models = {name: value for name, value in given.items() if name in wanted and name not in own}
    return {name: value for name, value in given.items() if name not in models}, models


def _options_of(backbone: str | None) -> type[DiffusionOptions]:
    return KeyFramesOptions if backbone is not None and backbone.startswith("keyframes:") else DiffusionOptions


def check_pretrained(
    task: Task[Any], backbone: str | None, given: Mapping[str, Any], prompt: str | None = None
) -> Pretrained | None:
    """Checks what can be checked before a model loads; None where the call names no pretrained model.

    Args:
        task: that is to run on it.
        backbone: as the caller gave it.
        given: the model's options, of `split_options`.
        prompt: as the caller gave it.

    Raises:
        InvalidOption: an option is wrong, or the family cannot follow it.
        ModelError: the folder holds no model that can be used.
    """
    if backbone is None or not is_location(backbone):
        return None
    options: DiffusionOptions = read_options(_options_of(backbone), given, f"backbone {backbone!r}")
    location = parse_location(backbone, options.revision)
    family = None
    if location.folder is not None:
        family = family_of(check_folder(location.folder).pipeline, options)
        assert family is not None  # check_folder refuses models of no family
        _check_family(task, family, options, prompt, location)
    return Pretrained(
        backbone, location, options, None if family is None else family.name, task.prompt, dict(task.controls)
    )


def _check_family(
    task: Task[Any], family: Family, options: DiffusionOptions, prompt: str | None, location: Location
) -> None:
    from vid2vid.backbones.diffusion.choosing import check_denoise, choose_controls, windows_of

    check_denoise(family, options)
    if location.scheme == "diffusers":
        windows_of(family, options)
        choose_controls(family, options, task.controls)
    for word, value in (("prompt", prompt), ("negative_prompt", options.negative_prompt)):
        if value is not None and word not in family.takes:
            raise InvalidOption(f"{word}={value!r}: {family.name} takes no text. Leave it out.")
