"""Parts that a call names beside its model: a ControlNet, a motion adapter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vid2vid.errors import InvalidOption, Vid2VidError

if TYPE_CHECKING:
    import torch


def load_part(kind: str, option: str, where: str, dtype: torch.dtype) -> Any:
    """Loads one part from a folder, or from a hub, where safetensors alone are taken.

    Args:
        kind: name of a class of diffusers, such as `ControlNetModel`.
        option: name of the option that named it.
        where: folder or hub id.
        dtype: number format.

    Raises:
        ModelError: the folder's files are damaged or unsafe; see `check_part`.
        InvalidOption: there is no such part.
    """
    import diffusers

    from vid2vid.backbones.diffusion.loading import quiet
    from vid2vid.backbones.diffusion.location import check_part

    folder = Path(where).expanduser()
    if folder.is_dir():
        check_part(folder)
    try:
        with quiet():
            return getattr(diffusers, kind).from_pretrained(
                folder if folder.is_dir() else where,
                torch_dtype=dtype,
                use_safetensors=True,
                local_files_only=folder.is_dir(),
            )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        if isinstance(error, Vid2VidError):
            raise
        raise InvalidOption(
            f"{option}={where!r}: no {kind} can be loaded from there: {str(error).splitlines()[0]} Give the folder "
            "that holds its config.json and .safetensors, or its hub id while online."
        ) from error
