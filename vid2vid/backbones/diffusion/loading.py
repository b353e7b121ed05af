"""Loading a pretrained pipeline: family from the model's own description, safetensors only, no code of the model's."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vid2vid.backbones.diffusion.choosing import check_denoise, choose_controls, windows_of
from vid2vid.backbones.diffusion.family import family_of
from vid2vid.backbones.diffusion.further import add_ip_adapter
from vid2vid.backbones.diffusion.hub import resolve
from vid2vid.backbones.diffusion.location import fingerprint, parse_location
from vid2vid.backbones.diffusion.memory import choose_offload, needs_of, number_formats, quantisation, settle
from vid2vid.errors import EngineUnavailable, InvalidModel, InvalidOption, Vid2VidError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vid2vid.backbones.diffusion.choosing import Wanted
    from vid2vid.backbones.diffusion.family import Family
    from vid2vid.backbones.diffusion.location import Index, Location
    from vid2vid.backbones.diffusion.memory import Needs, Offload
    from vid2vid.backbones.diffusion.options import DiffusionOptions
    from vid2vid.config import NumberFormat
    from vid2vid.types import Request

_LOG = logging.getLogger(__name__)
NEGATIVE: Final = "blurry, low quality, distorted, deformed, watermark, text"
"""What pictures must not show where the call says nothing and the prompt is guided."""


@dataclass(frozen=True, slots=True)
class Called:
    """How one render's windows are made, with everything filled in."""

    prompt: str
    negative_prompt: str
    strength: float
    steps: int
    guidance: float


@dataclass(slots=True, eq=False)
class Model:
    """A loaded pipeline and how it is to run."""

    pipe: Any
    family: Family
    location: Location
    folder: Path
    index: Index
    options: DiffusionOptions
    device: torch.device
    dtype: NumberFormat
    offload: Offload
    needs: Needs
    wanted: Wanted
    prompt: str = ""
    """What the task says where the call gives no prompt."""
    controls: Mapping[str, str] = field(default_factory=dict)
    """All that the task has: control kind, `mask` or `plate` -> name of its map."""
    depth: Callable[[Tensor], Tensor] | None = None
    """Draws depth maps, where they are to lead and the task has none."""
    window: int = field(init=False)
    overlap: int = field(init=False)

    def __post_init__(self) -> None:
        self.window, self.overlap = windows_of(self.family, self.options)

    def settings(self, request: Request) -> Called:
        """Options, and where they say nothing what the family recommends."""
        usual, options = self.family.recommended_with(self.pipe), self.options
        strength = options.denoise or usual.strength
        guidance = usual.guidance if options.guidance is None else options.guidance
        negative = options.negative_prompt
        return Called(
            prompt=self.prompt if request.prompt is None else request.prompt,
            negative_prompt=(NEGATIVE if guidance > 1.0 else "") if negative is None else negative,
            strength=strength,
            # A pipeline that starts from a picture takes only this share of the steps, and at least one has to be left.
            steps=max(options.steps or usual.steps, ceil(1.0 / strength)),
            guidance=guidance,
        )

    def drawn(self, kind: str, frames: Tensor) -> Tensor:
        """The control clip of a kind, drawn from frames `(T, 3, H, W)` in [0, 1]; see `derive`."""
        from vid2vid.backbones.diffusion.controls import derive

        return self.depth(frames) if kind == "depth" and self.depth is not None else derive(kind, frames)

    def needed_mb(self, frames: int, height: int, width: int) -> float:
        """MB of the accelerator for windows of this size, as estimated."""
        return self.needs.with_window(self.offload, frames, height, width)

    def facts(self) -> Mapping[str, Any]:
        """JSON values for the report."""
        return {
            "model": str(self.location),
            "pipeline": self.index.pipeline,
            "family": self.family.name,
            "fingerprint": fingerprint(self.folder, self.index),
            "window": self.window,
            "overlap": self.overlap,
            "control": self.wanted.control,
            "offload": self.offload,
            "quantise": self.options.quantise,
            "compiled": self.options.compile,
        }


def load_model(
    backbone: str,
    options: DiffusionOptions,
    *,
    device: torch.device,
    dtype: NumberFormat,
    controls: Mapping[str, str] | None = None,
    prompt: str = "",
    size: tuple[int, int] | None = None,
) -> Model:
    """Finds, checks and loads a model.

    Args:
        backbone: `diffusers:<hub id or folder>[@revision]`.
        options: how it is to run.
        device, dtype: where and in what numbers.
        controls: control kind, `mask` or `plate` -> name of the task's map.
        prompt: what the task says where the call gives none.
        size: height and width of the windows, to choose what waits in main memory; None takes the recommended.

    Raises:
        ModelError, InvalidOption: see `resolve`, `choose_controls`, `quantisation`, `find_depth`.
    """
    import torch

    from vid2vid.backbones.depth import find_depth

    location = parse_location(backbone, options.revision)
    folder, index = resolve(location, options.variant)
    family = family_of(index.pipeline, options)
    assert family is not None  # check_folder refused it otherwise
    wanted = choose_controls(family, options, controls or {})
    check_denoise(family, options)
    number = getattr(torch, dtype)
    depth = find_depth(options.depth_model, device) if "depth" in wanted.derived else None
    pipe = _load(family, folder, index, options, number)
    needs = needs_of(folder, index, dtype, options.quantise)
    height, width = size or (family.recommended.height, family.recommended.width)
    offload = choose_offload(options.offload, device, needs, (windows_of(family, options)[0], height, width))
    settle(pipe, options, device, number, offload)
    family.loaded(pipe, options)
    wanted = _narrowed(wanted, family.takes_with(pipe), options, location)
    own = controls or {}
    return Model(
        pipe, family, location, folder, index, options, device, dtype, offload, needs, wanted, prompt, own, depth
    )


def _narrowed(wanted: Wanted, takes: frozenset[str], options: DiffusionOptions, location: Location) -> Wanted:
    """Without a control clip that this very model does not take."""
    if wanted.control is None or wanted.control in takes:
        return wanted
    if options.control not in ("auto", "none"):
        raise InvalidOption(f"control={options.control!r}: '{location}' has no ControlNet for it. Leave control out.")
    derived = tuple(kind for kind in wanted.derived if kind in takes)
    return replace(wanted, derived=derived, control=None)


def _load(family: Family, folder: Path, index: Index, options: DiffusionOptions, dtype: torch.dtype) -> Any:
    kind = family.kind(index.pipeline, options)
    words = {**family.parts(options, dtype), **quantisation(options)}
    if options.variant:
        words["variant"] = options.variant
    with quiet():
        try:
            pipe = kind.from_pretrained(
                folder,
                dtype=number_formats(dtype, family.exact_parts),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                **words,
            )
            if options.lora is not None:
                _add_lora(pipe, options.lora)
            if hasattr(pipe, "unet"):
                add_ip_adapter(pipe, options.ip_adapter, folder, dtype)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, Vid2VidError):
                raise
            raise InvalidModel(
                f"'{folder}' cannot be loaded as a {kind.__name__}: {str(error).splitlines()[0]} Fetch it again, or "
                "update diffusers if the model is newer."
            ) from error
    return pipe


def _add_lora(pipe: Any, lora: str) -> None:
    from vid2vid.backbones.diffusion.adapters import is_adapter, merge
    from vid2vid.backbones.diffusion.location import check_safetensors

    path = Path(lora).expanduser()
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files or not files[0].is_file() or files[0].suffix != ".safetensors":
        raise InvalidOption(f"lora={lora!r}: a .safetensors file, or a folder that holds one, is needed.")
    check_safetensors(files[0])
    if is_adapter(files[0]):
        merge(pipe, files[0])
        return
    if not hasattr(pipe, "load_lora_weights"):
        raise InvalidOption(f"lora={lora!r}: {type(pipe).__name__} takes no LoRA.")
    if importlib.util.find_spec("peft") is None:
        raise EngineUnavailable(f"lora={lora!r}: LoRA of others need peft: pip install 'vid2vid[lora]'.")
    pipe.load_lora_weights(str(files[0].parent), weight_name=files[0].name)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the libraries' own progress bars; their warnings stay."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries: tuple[Any, ...] = (diffusers_logging, transformers_logging)
    for library in libraries:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in libraries:
            library.enable_progress_bar()
