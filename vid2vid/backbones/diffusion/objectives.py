"""What a pretrained diffusion model is taught by: one noisy window, and how far off its answer is.

Everything random follows from a key of whole numbers, so that a continued training draws what it would have drawn.

Source:
    Epsilon and velocity targets: Ho et al., "Denoising Diffusion Probabilistic Models", 2020; Salimans and Ho,
    "Progressive Distillation for Fast Sampling of Diffusion Models", 2022. Flow matching: Lipman et al., "Flow Matching
    for Generative Modeling", 2023, with noise levels shifted towards more noise as the model's own scheduler does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from vid2vid.backbones.diffusion.noise import generator_for
from vid2vid.backbones.diffusion.pictures import to_images
from vid2vid.errors import InvalidOption

if TYPE_CHECKING:
    from vid2vid.backbones.diffusion.brief import Brief
    from vid2vid.backbones.diffusion.loading import Model


class Objective(ABC):
    """One model's training loss.

    Args:
        model: loaded; its pipeline bears adapters.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.pipe = model, model.pipe
        self._texts: dict[str, Tensor] = {}

    @abstractmethod
    def loss(self, brief: Brief, target: Tensor, *key: int) -> Tensor:
        """How badly the model finds the target of one window behind noise.

        Args:
            brief: what the model is shown, as at render time.
            target: `(T, 3, H, W)` in [0, 1], what it should make.
            key: what noise and noise level follow from.

        Returns:
            The mean squared error, a scalar with gradient.
        """

    def text(self, prompt: str) -> Tensor:
        """The prompt as the model reads it; kept, since a training has few."""
        if prompt not in self._texts:
            with torch.no_grad():
                self._texts[prompt] = self._read(prompt).detach()
        return self._texts[prompt]

    @abstractmethod
    def _read(self, prompt: str) -> Tensor: ...

    def _signed(self, pictures: Tensor) -> Tensor:
        """`(T, 3, H, W)` in [-1, 1] on the model's device, in its autoencoder's number format."""
        return (pictures * 2.0 - 1.0).to(self.model.device, self.pipe.vae.dtype)


class StillImageMotion(Objective):
    """AnimateDiff: epsilon, velocity or the picture, as the model's scheduler says; a ControlNet learns along."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        from diffusers import DDPMScheduler

        made: Any = DDPMScheduler
        self.scheduler = made.from_config(self.pipe.scheduler.config)

    def loss(self, brief: Brief, target: Tensor, *key: int) -> Tensor:
        """See `Objective`."""
        clean = self._latents(target)
        generator = generator_for(*key)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        level = torch.randint(self.scheduler.config.num_train_timesteps, (1,), generator=generator).to(clean.device)
        noisy = self.scheduler.add_noise(clean, noise, level)
        text = self.text(brief.prompt).repeat_interleave(brief.length, 0)
        answer = self.pipe.unet(
            noisy, level, encoder_hidden_states=text, **self._control(brief, noisy, level, text)
        ).sample
        return F.mse_loss(answer.float(), self._wanted(clean, noise, level).float())

    @torch.no_grad()
    def _latents(self, pictures: Tensor) -> Tensor:
        """`(1, C, T, h, w)`."""
        vae = self.pipe.vae
        found: Tensor = vae.encode(self._signed(pictures)).latent_dist.mode() * vae.config.scaling_factor
        return found.transpose(0, 1)[None].to(self.pipe.unet.dtype)

    def _control(self, brief: Brief, noisy: Tensor, level: Tensor, text: Tensor) -> Mapping[str, Any]:
        control, net = brief.leading_control(), getattr(self.pipe, "controlnet", None)
        if net is None or control is None:
            return {}
        down, middle = net(
            noisy[0].transpose(0, 1),
            level,
            encoder_hidden_states=text,
            controlnet_cond=control.to(noisy),
            conditioning_scale=brief.control_scale,
            return_dict=False,
        )
        return {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}

    def _wanted(self, clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        kind = self.scheduler.config.prediction_type
        if kind == "v_prediction":
            velocity: Tensor = self.scheduler.get_velocity(clean, noise, level)
            return velocity
        return clean if kind == "sample" else noise

    def _read(self, prompt: str) -> Tensor:
        found: Tensor = self.pipe.encode_prompt(prompt, self.model.device, 1, False)[0]
        return found.to(self.pipe.unet.dtype)


class Flow(Objective):
    """Wan: the velocity from picture to noise; VACE is shown its control, mask and references as at render time."""

    def loss(self, brief: Brief, target: Tensor, *key: int) -> Tensor:
        """See `Objective`."""
        clean = self._latents(target)
        shown = self._shown(brief)
        lead = 0 if shown is None else shown.shape[2] - clean.shape[2]
        if lead:  # references go before the window, and are to come out as they went in
            clean = torch.cat((shown[:, : clean.shape[1], :lead].to(clean), clean), 2)  # type: ignore[index]
        generator = generator_for(*key)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        level = _shifted(float(torch.rand(1, generator=generator)), self._shift())
        net = self._network(level)
        noisy = torch.lerp(clean, noise, level).to(net.dtype)
        answer = net(
            hidden_states=noisy,
            timestep=torch.tensor([level * self._levels()], device=clean.device),
            encoder_hidden_states=self.text(brief.prompt).to(net.dtype),
            return_dict=False,
            **self._led(shown, net, brief),
        )[0]
        return F.mse_loss(answer.float()[:, :, lead:], (noise - clean)[:, :, lead:].float())

    @torch.no_grad()
    def _latents(self, pictures: Tensor) -> Tensor:
        """`(1, C, F, h, w)`, normalised as the model knows them."""
        vae = self.pipe.vae
        found: Tensor = vae.encode(self._signed(pictures).transpose(0, 1)[None]).latent_dist.mode().float()
        shape = (1, vae.config.z_dim, 1, 1, 1)
        mean, deviation = (
            torch.tensor(values, device=found.device).view(shape)
            for values in (vae.config.latents_mean, vae.config.latents_std)
        )
        return (found - mean) / deviation

    @torch.no_grad()
    def _shown(self, brief: Brief) -> Tensor | None:
        """What VACE is shown, as its pipeline makes it of the arguments that the family gives it; None for others."""
        if not hasattr(self.pipe, "prepare_video_latents"):
            return None
        words = self.model.family.arguments(self.pipe, brief)
        height, width = brief.size
        references = words.get("reference_images")
        device = self.model.device
        video, mask, pictures = self.pipe.preprocess_conditions(
            words.get("video") or to_images(brief.video),
            words.get("mask"),
            references,
            1,
            height,
            width,
            brief.length,
            torch.float32,
            device,
        )
        latents = self.pipe.prepare_video_latents(video, mask, pictures, None, device)
        return torch.cat((latents, self.pipe.prepare_masks(mask, pictures, None).to(latents)), 1)

    def _led(self, shown: Tensor | None, net: Any, brief: Brief) -> dict[str, Any]:
        if shown is None:
            return {}
        scale = torch.full((len(net.config.vace_layers),), brief.control_scale, device=shown.device, dtype=net.dtype)
        return {"control_hidden_states": shown.to(net.dtype), "control_hidden_states_scale": scale}

    def _network(self, level: float) -> Any:
        """Wan 2.2 has one network for much noise and one for little."""
        boundary, little = self.pipe.config.get("boundary_ratio"), getattr(self.pipe, "transformer_2", None)
        return self.pipe.transformer if boundary is None or little is None or level >= boundary else little

    def _levels(self) -> int:
        return int(self.pipe.scheduler.config.num_train_timesteps)

    def _shift(self) -> float:
        settings = self.pipe.scheduler.config
        return float(settings.get("flow_shift") or settings.get("shift") or 1.0)

    def _read(self, prompt: str) -> Tensor:
        found: Tensor = self.pipe.encode_prompt(prompt, None, False, device=self.model.device)[0]
        return found


_OBJECTIVES: Final[Mapping[str, type[Objective]]] = {
    "animatediff": StillImageMotion,
    "animatediff_controlnet": StillImageMotion,
    "wan_vace": Flow,
    "wan_video": Flow,
}
TAUGHT: Final = tuple(_OBJECTIVES)
"""Families that can be taught."""


def objective_of(model: Model) -> Objective:
    """The training loss of a loaded model.

    Raises:
        InvalidOption: its family cannot be taught.
    """
    kind = _OBJECTIVES.get(model.family.name)
    if kind is None:
        raise InvalidOption(
            f"backbone='{model.location}' is of the family '{model.family.name}', which train() cannot teach. "
            f"It teaches: {', '.join(TAUGHT)}."
        )
    return kind(model)


def _shifted(level: float, shift: float) -> float:
    return shift * level / (1.0 + (shift - 1.0) * level)
