"""Depth maps of frames, by a depth model of a hub through transformers.

Source:
    Models as Yang et al., "Depth Anything V2", 2024: one picture gives inverse depth up to scale and shift. Here one
    scale and one shift serve all frames of a window, so that a map does not flicker with what comes into view.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F

from vid2vid.errors import InvalidModel, InvalidOption

if TYPE_CHECKING:
    from torch import Tensor

DEPTH_MODEL: Final = "depth-anything/Depth-Anything-V2-Small-hf"
"""Apache-2.0, 100 MB; its larger kin are not free for all uses."""
_FILES: Final = ("config.json", "preprocessor_config.json", "model.safetensors")
_EDGES: Final = (0.02, 0.98)
"""Shares of the values that become black and white: single pixels do not set the scale."""
_SAMPLES: Final = 500_000


class DepthFinder:
    """Draws depth: near is white.

    Args:
        folder: of a model and its processor, as transformers saves them.
        device: where it runs.

    Raises:
        InvalidModel: it holds no depth model.
        ModelError: its weights are damaged or no safetensors.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        from vid2vid.backbones.diffusion.location import check_part

        check_part(folder)
        words: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._processor: Any = AutoImageProcessor.from_pretrained(folder, **words)
            net: Any = AutoModelForDepthEstimation.from_pretrained(folder, use_safetensors=True, **words)
        except (OSError, ValueError, KeyError) as error:
            raise InvalidModel(
                f"'{folder}' cannot be loaded as a depth model: {str(error).splitlines()[0]} Give one that "
                f"transformers knows, such as {DEPTH_MODEL}."
            ) from error
        self._net, self._device = net.eval().to(device), device

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> Tensor:
        """`(T, 3, H, W)` in [0, 1] of frames of that shape; grey, near is white, one scale for all of them."""
        found = torch.cat([self._one(frame) for frame in frames])
        sampled = found.flatten()[:: max(1, found.numel() // _SAMPLES)]
        far, near = (float(torch.quantile(sampled, edge)) for edge in _EDGES)
        grey = ((found - far) / max(near - far, 1e-6)).clamp(0.0, 1.0)
        return grey[:, None].expand(-1, 3, -1, -1).contiguous()

    def _one(self, frame: Tensor) -> Tensor:
        picture = frame.mul(255.0).round().to(torch.uint8).permute(1, 2, 0).numpy()
        given = self._processor(images=picture, return_tensors="pt").to(self._device)
        found = self._net(**given).predicted_depth.float()
        return F.interpolate(found[:, None], frame.shape[-2:], mode="bilinear", align_corners=False)[:, 0].cpu()


def find_depth(where: str | None, device: torch.device) -> DepthFinder:
    """The depth model that a call names, fetched where it is not here yet.

    Args:
        where: folder or hub id; None for `DEPTH_MODEL`.
        device: where it is to run.

    Raises:
        InvalidOption: there is no such folder or hub id.
        OfflineModelMissing: it is not here and the hub cannot be reached; names the files and how to place them.
        ModelError: see `DepthFinder`.
    """
    name = where or DEPTH_MODEL
    folder = Path(name).expanduser()
    return DepthFinder(folder if folder.is_dir() else _fetched(name), device)


def _fetched(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    from vid2vid.backbones.diffusion.hub import explained

    files = f"one of its files ({', '.join(_FILES)})"
    try:
        with explained(name, files, "depth_model='FOLDER'"):
            return Path(snapshot_download(name, allow_patterns=list(_FILES)))
    except HFValidationError as error:
        raise InvalidOption(f"depth_model={name!r}: there is no such folder, and no hub id looks like this.") from error
