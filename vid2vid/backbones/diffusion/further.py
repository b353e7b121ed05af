"""Parts beside a model: a ControlNet, a motion adapter, an IP-Adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vid2vid.errors import InvalidOption, Vid2VidError

if TYPE_CHECKING:
    import torch

    from vid2vid.backbones.diffusion.brief import Brief

IP_ADAPTER: Final = "ip_adapter"
"""Folder of a model that holds one."""
_IMAGE_ENCODER: Final = "image_encoder"
_MOST_REFERENCES: Final = 4
_BLANK: Final = 224


def class_of_part(where: str) -> str | None:
    """The class that a part's `config.json` names; None where that cannot be told.

    Args:
        where: folder or hub id; of a hub, that one small file is fetched.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    folder = Path(where).expanduser()
    try:
        path = folder / "config.json" if folder.is_dir() else Path(hf_hub_download(where, "config.json"))
        named = json.loads(path.read_text(encoding="utf-8")).get("_class_name")
    except (OSError, ValueError, AttributeError, HfHubHTTPError, HFValidationError):
        return None  # what is wrong with it is said where it is loaded
    return named if isinstance(named, str) else None


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


def add_ip_adapter(pipe: Any, where: str | None, base: Path, dtype: torch.dtype) -> None:
    """Gives a pipeline an IP-Adapter, through which references reach the network as embeddings of pictures.

    Args:
        pipe: of Stable Diffusion or AnimateDiff; changed in place.
        where: the option: a folder with one .safetensors file and `image_encoder/`, or that file; None takes the folder
            `ip_adapter` of the model where it has one.
        base: folder of the model.
        dtype: number format.

    Raises:
        InvalidOption: files are missing, or the pipeline takes none.
        ModelError: they are damaged or unsafe.
    """
    place = base / IP_ADAPTER if where is None else Path(where).expanduser()
    if where is None and not place.is_dir():
        return
    files = [place] if place.is_file() else sorted(place.glob("*.safetensors"))
    encoder = (place.parent if place.is_file() else place) / _IMAGE_ENCODER
    if len(files) != 1 or files[0].suffix != ".safetensors" or not (encoder / "config.json").is_file():
        raise InvalidOption(
            f"ip_adapter={str(place)!r}: a folder with one .safetensors file and a folder '{_IMAGE_ENCODER}' is needed "
            f"(from h94/IP-Adapter: models/ip-adapter_sd15.safetensors and models/image_encoder). Found: "
            f"{', '.join(path.name for path in files) or 'no .safetensors'}."
        )
    if not hasattr(pipe, "load_ip_adapter"):
        raise InvalidOption(f"ip_adapter={str(place)!r}: {type(pipe).__name__} takes none. Leave it out.")
    _load_ip_adapter(pipe, files[0], encoder, dtype)


def _load_ip_adapter(pipe: Any, path: Path, encoder: Path, dtype: torch.dtype) -> None:
    from transformers import CLIPVisionModelWithProjection

    from vid2vid.backbones.diffusion.location import check_part, check_safetensors

    check_safetensors(path)
    check_part(encoder)
    # The pipeline itself would take a pickle here.
    words: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "local_files_only": True}
    pipe.register_modules(image_encoder=CLIPVisionModelWithProjection.from_pretrained(encoder, **words))
    pipe.load_ip_adapter(
        str(path.parent), subfolder="", weight_name=path.name, image_encoder_folder=None, local_files_only=True
    )


def has_ip_adapter(pipe: Any) -> bool:
    """Whether references reach the network of a pipeline as embeddings."""
    return getattr(getattr(pipe, "unet", None), "encoder_hid_proj", None) is not None


def shown_references(pipe: Any, brief: Brief) -> dict[str, Any]:
    """A brief's references as the call's argument; nothing where there is no IP-Adapter.

    A network with an adapter has to be shown something: without references a grey picture that counts for nothing.
    """
    from vid2vid.backbones.diffusion.pictures import to_image

    if not has_ip_adapter(pipe):
        return {}
    import numpy as np

    pipe.set_ip_adapter_scale(1.0 if brief.references else 0.0)
    shown = brief.references[:_MOST_REFERENCES] or (np.full((_BLANK, _BLANK, 3), 128, np.uint8),)
    return {"ip_adapter_image": [[to_image(picture) for picture in shown]]}
