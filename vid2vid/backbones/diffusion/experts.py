"""Wan 2.2 from video to video: one network for much noise, another for little."""

from __future__ import annotations

from typing import Any

from diffusers import WanVideoToVideoPipeline


class WanExperts(WanVideoToVideoPipeline):  # type: ignore[misc]  # diffusers has no types
    """Diffusers' pipeline with the second network of Wan 2.2 A14B; without one it is Wan 2.1.

    Args:
        tokenizer, text_encoder, transformer, vae, scheduler: as for diffusers' own.
        transformer_2: denoises below the boundary.
        boundary_ratio: noise level in [0, 1] at which the second network takes over.
    """

    model_cpu_offload_seq = "text_encoder->transformer->transformer_2->vae"
    _optional_components = ["transformer_2"]  # noqa: RUF012  # diffusers' own form

    def __init__(
        self,
        tokenizer: Any,
        text_encoder: Any,
        transformer: Any,
        vae: Any,
        scheduler: Any,
        transformer_2: Any = None,
        boundary_ratio: float | None = None,
    ) -> None:
        super().__init__(
            tokenizer=tokenizer, text_encoder=text_encoder, transformer=transformer, vae=vae, scheduler=scheduler
        )
        self.register_modules(transformer_2=transformer_2)
        self.register_to_config(boundary_ratio=boundary_ratio)

    @property
    def transformer(self) -> Any:
        """The network whose turn it is: the pipeline asks for it at every step, and tells the noise level before."""
        level, boundary = getattr(self, "_current_timestep", None), self.config.get("boundary_ratio")
        if level is None or boundary is None or self.transformer_2 is None:
            return vars(self)["_much_noise"]
        much = level >= boundary * self.scheduler.config.num_train_timesteps
        return vars(self)["_much_noise"] if much else self.transformer_2

    @transformer.setter
    def transformer(self, network: Any) -> None:
        self.__dict__["_much_noise"] = network
