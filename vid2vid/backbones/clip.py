"""CLIP as a measure: how alike consecutive frames are, and how well they agree with a text.

The network is read from the hub's cache or from a folder; nothing is ever downloaded for a measurement.

Source:
    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021. Frame consistency as
    the mean cosine of neighbours' embeddings: Esser et al., "Structure and Content-Guided Video Synthesis with
    Diffusion Models", 2023.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from vid2vid.types import Picture

CLIP_MODEL: Final = "openai/clip-vit-base-patch32"
"""The network whose figures are published most."""
PLACE: Final = "VID2VID_CLIP"
"""Environment variable that names a folder to take in place of the hub's cache."""


class ClipMeasure:
    """Embeddings of pictures and texts, each of length 1.

    Args:
        folder: of a CLIP model and its processor, as transformers saves them.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

        words: dict[str, Any] = {"local_files_only": True}
        net: Any = CLIPModel.from_pretrained(folder, use_safetensors=True, **words)
        self._net = net.eval()
        self._pictures = CLIPImageProcessor.from_pretrained(folder, **words)
        self._words = AutoTokenizer.from_pretrained(folder, **words)

    @torch.inference_mode()
    def picture(self, picture: Picture) -> Tensor:
        """`(D,)` of an `(H, W, 3)` uint8 picture."""
        values = self._pictures(images=picture, return_tensors="pt")["pixel_values"]
        return _unit(self._net.get_image_features(pixel_values=values))

    @torch.inference_mode()
    def text(self, text: str) -> Tensor:
        """`(D,)` of a text, cut where it is longer than the network reads."""
        tokens = self._words(text, return_tensors="pt", truncation=True)
        return _unit(self._net.get_text_features(**tokens))


def find_clip(places: Sequence[str] = ()) -> ClipMeasure | str:
    """The network, where this machine has it, else a sentence that says how to place it.

    Args:
        places: folders to look at first.
    """
    for place in (*places, os.environ.get(PLACE, "")):
        if place and (Path(place) / "config.json").is_file():
            return ClipMeasure(Path(place))
    from huggingface_hub.constants import HF_HUB_CACHE

    # Any commit will do that has safetensors: some of this repository's hold a pickle alone.
    snapshots = Path(HF_HUB_CACHE) / f"models--{CLIP_MODEL.replace('/', '--')}" / "snapshots"
    for weights in sorted(snapshots.glob("*/model.safetensors")):
        if (weights.parent / "config.json").is_file():
            return ClipMeasure(weights.parent)
    return (
        f"CLIP was left out: it needs the model {CLIP_MODEL} with model.safetensors in the hub's cache "
        f"(hf download {CLIP_MODEL}), or its folder in the environment variable {PLACE}; nothing is downloaded here."
    )


def _unit(features: Any) -> Tensor:
    """Newer releases of transformers hand out a record in place of the tensor."""
    tensor = features if isinstance(features, torch.Tensor) else features.pooler_output
    return F.normalize(tensor.float(), dim=-1)[0]
