"""Tiny pipelines with random weights, one a family, saved as folders in hub format.

`save_<family>(folder)` builds one and gives its folder back; `BUILDERS` maps a family's name to its function. Tests
take them through the fixture `tiny_model`, which builds each once a session. All models are seeded, so that two folders
of one family hold the same weights.
"""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

WIDE = 8
"""Channels of most layers."""
TEXT = 32
"""Width of the T5 text encoders."""


def clip_tokenizer() -> Any:
    """Reads any text byte by byte: no merges, no vocabulary to fetch."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=77)


def t5_tokenizer() -> Any:
    """Reads text letter by letter."""
    from transformers import T5Tokenizer

    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-'!?:;()\"/"
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    return T5Tokenizer(vocab=[*special, *((letter, -3.0) for letter in letters)], extra_ids=0, model_max_length=128)


def clip_text(width: int = WIDE, *, projection: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(1)
    count = len(clip_tokenizer())
    config = CLIPTextConfig(
        vocab_size=count,
        hidden_size=width,
        intermediate_size=37,
        projection_dim=width,
        num_attention_heads=4,
        num_hidden_layers=2,
        bos_token_id=count - 2,
        eos_token_id=count - 1,
        pad_token_id=count - 1,
    )
    return louder((CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval(), "token_embedding", 50)


def t5_text(*, many: bool = False) -> Any:
    """A T5 encoder, or the UMT5 of the Wan family with `many`."""
    from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

    torch.manual_seed(1)
    shape = {"vocab_size": len(t5_tokenizer()), "d_model": TEXT, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 4}
    return UMT5EncoderModel(UMT5Config(**shape)).eval() if many else T5EncoderModel(T5Config(**shape)).eval()


def louder(net: Any, part: str, gain: float) -> Any:
    """Multiplies the weights whose names hold `part`: untrained networks hardly look at their inputs otherwise."""
    with torch.no_grad():
        for name, value in net.named_parameters():
            if part in name:
                value.mul_(gain)
    return net


def attentive(net: Any) -> Any:
    """A transformer whose tokens hear one another, and which is heard itself."""
    return louder(louder(filled(net), "to_v.", 6.0), "proj_out", 6.0)


def kept(pipe: Any, folder: Path) -> Path:
    pipe.save_pretrained(folder)
    return folder


# --- Stable Diffusion and what is built on it ---------------------------------------------------------------------


def image_vae() -> Any:
    from diffusers import AutoencoderKL

    torch.manual_seed(2)
    vae = AutoencoderKL(
        block_out_channels=(WIDE,) * 4,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        latent_channels=4,
        norm_num_groups=2,
        sample_size=64,
    )
    return louder(vae, "encoder.conv_out", 4.0)


def image_unet(**changes: Any) -> Any:
    from diffusers import UNet2DConditionModel

    torch.manual_seed(3)
    shape: dict[str, Any] = {
        "block_out_channels": (WIDE, WIDE),
        "layers_per_block": 1,
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": WIDE,
        "norm_num_groups": 2,
        "attention_head_dim": 4,
    }
    net = UNet2DConditionModel(**{**shape, **changes})
    return louder(louder(net, "to_v.", 8.0), "conv_out", 2.0)


def control_net(**changes: Any) -> Any:
    """A ControlNet that is heard: the layers that a fresh one starts at zero are filled."""
    from diffusers import ControlNetModel

    torch.manual_seed(4)
    shape: dict[str, Any] = {
        "block_out_channels": (WIDE, WIDE),
        "layers_per_block": 1,
        "in_channels": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "cross_attention_dim": WIDE,
        "conditioning_embedding_out_channels": (WIDE,) * 4,
        "norm_num_groups": 1,
        "attention_head_dim": 4,
    }
    net = filled(ControlNetModel(**{**shape, **changes}))
    return louder(net, "controlnet_cond_embedding", 3.0)


def filled(net: nn.Module) -> Any:
    """Gives weights to layers that start at zero, so that their input reaches the output of an untrained network."""
    with torch.no_grad():
        for value in net.parameters():
            if value.ndim > 1 and not value.any():
                value.normal_(std=0.5)
    return net


def ddim() -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=False)


def motion_parts() -> dict[str, Any]:
    from diffusers import MotionAdapter

    torch.manual_seed(5)
    motion = MotionAdapter(
        block_out_channels=(WIDE, WIDE),
        motion_layers_per_block=1,
        motion_norm_num_groups=2,
        motion_num_attention_heads=4,
        motion_max_seq_length=32,
        use_motion_mid_block=False,
    )
    return {
        "unet": image_unet(),
        "vae": image_vae(),
        "motion_adapter": filled(motion),
        "text_encoder": clip_text(),
        "tokenizer": clip_tokenizer(),
        "scheduler": ddim(),
        "feature_extractor": None,
        "image_encoder": None,
    }


def save_animatediff(folder: Path) -> Path:
    from diffusers import AnimateDiffVideoToVideoPipeline

    return kept(AnimateDiffVideoToVideoPipeline(**motion_parts()), folder)


def save_animatediff_control(folder: Path) -> Path:
    """Video-to-video with a ControlNet."""
    from diffusers import AnimateDiffVideoToVideoControlNetPipeline

    return kept(AnimateDiffVideoToVideoControlNetPipeline(**motion_parts(), controlnet=control_net()), folder)


def save_animatediff_text(folder: Path) -> Path:
    """Text-to-video with a ControlNet: there is no video to start from."""
    from diffusers import AnimateDiffControlNetPipeline

    return kept(AnimateDiffControlNetPipeline(**motion_parts(), controlnet=control_net()), folder)


def sparse_control_net() -> Any:
    from diffusers import SparseControlNetModel

    torch.manual_seed(4)
    sparse = SparseControlNetModel(
        in_channels=4,
        conditioning_channels=4,
        block_out_channels=(WIDE, WIDE),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
        cross_attention_dim=WIDE,
        norm_num_groups=1,
        attention_head_dim=4,
        conditioning_embedding_out_channels=(WIDE,) * 4,
        motion_num_attention_heads=4,
        motion_max_seq_length=32,
        use_simplified_condition_embedding=True,
    )
    return filled(sparse)


def save_animatediff_sparse(folder: Path) -> Path:
    from diffusers import AnimateDiffSparseControlNetPipeline

    return kept(AnimateDiffSparseControlNetPipeline(**motion_parts(), controlnet=sparse_control_net()), folder)


def save_sparse_controlnet(folder: Path) -> Path:
    """SparseCtrl alone, as hubs hold it."""
    return kept(sparse_control_net(), folder)


def save_ip_adapter(folder: Path) -> Path:
    """An IP-Adapter for the tiny Stable Diffusion and AnimateDiff, and the eyes that it looks with."""
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(7)
    vision = CLIPVisionConfig(
        hidden_size=WIDE, projection_dim=WIDE, num_hidden_layers=1, num_attention_heads=2, image_size=32,
        intermediate_size=16, patch_size=8,
    )  # fmt: skip
    kept(CLIPVisionModelWithProjection(vision).eval(), folder / "image_encoder")
    values = {"image_proj.proj.weight": torch.randn(4 * WIDE, WIDE), "image_proj.proj.bias": torch.zeros(4 * WIDE)}
    values |= {f"image_proj.norm.{name}": torch.ones(WIDE) for name in ("weight", "bias")}
    crossed = [name for name in image_unet().attn_processors if "attn2" in name]
    for place in range(len(crossed)):
        for name in ("to_k_ip", "to_v_ip"):
            values[f"ip_adapter.{2 * place + 1}.{name}.weight"] = 4.0 * torch.randn(WIDE, WIDE)
    save_file(values, folder / "ip-adapter.safetensors")
    return folder


def save_controlnet(folder: Path) -> Path:
    """A ControlNet alone, as hubs hold them."""
    return kept(control_net(), folder)


def save_motion_adapter(folder: Path) -> Path:
    """Motion layers alone, as hubs hold them."""
    return kept(motion_parts()["motion_adapter"], folder)


def image_parts(unet: Any = None) -> dict[str, Any]:
    return {
        "unet": unet or image_unet(),
        "vae": image_vae(),
        "text_encoder": clip_text(),
        "tokenizer": clip_tokenizer(),
        "scheduler": ddim(),
        "safety_checker": None,
        "feature_extractor": None,
    }


def save_sd(folder: Path) -> Path:
    """As on the hub: a text-to-image pipeline, of which image-to-image is made from the same parts."""
    from diffusers import StableDiffusionPipeline

    return kept(StableDiffusionPipeline(**image_parts(), requires_safety_checker=False), folder)


def save_sd_control(folder: Path) -> Path:
    from diffusers import StableDiffusionControlNetPipeline

    parts = image_parts()
    return kept(
        StableDiffusionControlNetPipeline(**parts, controlnet=control_net(), requires_safety_checker=False), folder
    )


def save_sd_inpaint(folder: Path) -> Path:
    """An inpainting network: nine input channels."""
    from diffusers import StableDiffusionInpaintPipeline

    parts = image_parts(image_unet(in_channels=9))
    return kept(StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False), folder)


def save_lcm(folder: Path) -> Path:
    from diffusers import LatentConsistencyModelImg2ImgPipeline, LCMScheduler

    parts = image_parts(image_unet(time_cond_proj_dim=16))
    parts["scheduler"] = LCMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False
    )
    return kept(LatentConsistencyModelImg2ImgPipeline(**parts, requires_safety_checker=False), folder)


def save_sdxl(folder: Path) -> Path:
    """As SDXL-turbo: two text encoders, an Euler-ancestral scheduler with trailing steps."""
    from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionXLPipeline

    unet = image_unet(
        cross_attention_dim=2 * WIDE,
        addition_embed_type="text_time",
        addition_time_embed_dim=WIDE,
        projection_class_embeddings_input_dim=6 * WIDE + WIDE,
        transformer_layers_per_block=(1, 1),
        use_linear_projection=True,
    )
    pipe = StableDiffusionXLPipeline(
        unet=unet,
        vae=image_vae(),
        text_encoder=clip_text(),
        text_encoder_2=clip_text(projection=True),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        scheduler=EulerAncestralDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="trailing"
        ),
    )
    return kept(pipe, folder)


# --- Wan ----------------------------------------------------------------------------------------------------------


def wan_vae() -> Any:
    from diffusers import AutoencoderKLWan

    torch.manual_seed(2)
    vae = AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    return louder(vae, "encoder.conv_out", 8.0)


def wan_shape(**changes: Any) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "patch_size": (1, 2, 2),
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "in_channels": 16,
        "out_channels": 16,
        "text_dim": TEXT,
        "freq_dim": 64,
        "ffn_dim": 32,
        "num_layers": 2,
        "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads",
        "rope_max_seq_len": 32,
    }
    return {**shape, **changes}


def wan_parts() -> dict[str, Any]:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return {
        "vae": wan_vae(),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=7.0),
        "text_encoder": t5_text(many=True),
        "tokenizer": t5_tokenizer(),
    }


def vace_transformer(seed: int) -> Any:
    from diffusers import WanVACETransformer3DModel

    torch.manual_seed(seed)
    return attentive(WanVACETransformer3DModel(**wan_shape(num_layers=3, vace_layers=[0, 2], vace_in_channels=96)))


def save_wan_vace(folder: Path) -> Path:
    """As VACE on Wan 2.1: one transformer."""
    from diffusers import WanVACEPipeline

    return kept(WanVACEPipeline(**wan_parts(), transformer=vace_transformer(3), transformer_2=None), folder)


def save_wan_vace_two(folder: Path) -> Path:
    """As VACE on Wan 2.2: one transformer for much noise, another for little."""
    from diffusers import WanVACEPipeline

    pipe = WanVACEPipeline(
        **wan_parts(), transformer=vace_transformer(3), transformer_2=vace_transformer(4), boundary_ratio=0.875
    )
    return kept(pipe, folder)


def wan_network(seed: int) -> Any:
    from diffusers import WanTransformer3DModel

    torch.manual_seed(seed)
    return attentive(WanTransformer3DModel(**wan_shape()))


def save_wan_video(folder: Path) -> Path:
    from diffusers import UniPCMultistepScheduler, WanVideoToVideoPipeline

    steps = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    return kept(WanVideoToVideoPipeline(**{**wan_parts(), "scheduler": steps}, transformer=wan_network(3)), folder)


def save_wan_two(folder: Path) -> Path:
    """As Wan 2.2 A14B for text to video: one transformer for much noise, another for little."""
    from diffusers import UniPCMultistepScheduler, WanPipeline

    steps = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    parts = {**wan_parts(), "scheduler": steps, "transformer": wan_network(3), "transformer_2": wan_network(4)}
    return kept(WanPipeline(**parts, boundary_ratio=0.875), folder)


def save_wan_animate(folder: Path) -> Path:
    from diffusers import WanAnimatePipeline, WanAnimateTransformer3DModel
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(3)
    transformer = WanAnimateTransformer3DModel(
        **wan_shape(in_channels=36),
        latent_channels=16,
        image_dim=4,
        motion_encoder_channel_sizes={"4": 16, "8": 16, "16": 16},
        motion_encoder_size=16,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=16,
        face_encoder_hidden_dim=16,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=2,
    )
    vision = CLIPVisionConfig(
        hidden_size=4,
        projection_dim=4,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=4,
        intermediate_size=16,
        patch_size=1,
    )
    pipe = WanAnimatePipeline(
        **wan_parts(),
        transformer=attentive(transformer),
        image_encoder=CLIPVisionModel(vision).eval(),
        image_processor=CLIPImageProcessor(crop_size=4, size=4),
    )
    return kept(pipe, folder)


# --- CogVideoX ----------------------------------------------------------------------------------------------------


def cog_parts(channels: int) -> dict[str, Any]:
    from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, CogVideoXTransformer3DModel

    torch.manual_seed(2)
    vae = AutoencoderKLCogVideoX(
        in_channels=3,
        out_channels=3,
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(WIDE,) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=4,
        attention_head_dim=8,
        in_channels=channels,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=TEXT,
        num_layers=1,
        sample_width=8,
        sample_height=8,
        sample_frames=17,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=226,
    )
    return {
        "vae": vae,
        "transformer": attentive(transformer),
        "scheduler": CogVideoXDDIMScheduler(),
        "text_encoder": t5_text(),
        "tokenizer": t5_tokenizer(),
    }


def save_cogvideox(folder: Path) -> Path:
    from diffusers import CogVideoXVideoToVideoPipeline

    return kept(CogVideoXVideoToVideoPipeline(**cog_parts(4)), folder)


def save_cogvideox_control(folder: Path) -> Path:
    from diffusers import CogVideoXFunControlPipeline

    return kept(CogVideoXFunControlPipeline(**cog_parts(8)), folder)


# --- LTX ----------------------------------------------------------------------------------------------------------


def save_ltx(folder: Path) -> Path:
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXConditionPipeline,
        LTXVideoTransformer3DModel,
    )

    torch.manual_seed(3)
    transformer = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=TEXT,
    )
    torch.manual_seed(2)
    vae = AutoencoderKLLTXVideo(
        in_channels=3,
        out_channels=3,
        latent_channels=8,
        block_out_channels=(WIDE,) * 4,
        decoder_block_out_channels=(WIDE,) * 4,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
        spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False),
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1,) * 4,
        timestep_conditioning=False,
        patch_size=4,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    )
    pipe = LTXConditionPipeline(
        transformer=attentive(transformer),
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=t5_text(),
        tokenizer=t5_tokenizer(),
    )
    return kept(pipe, folder)


def gemma() -> tuple[Any, Any]:
    """Gives a Gemma text encoder (with the eyes that come with it) and its tokenizer."""
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3TextConfig,
        GemmaTokenizer,
        SiglipVisionConfig,
    )

    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{value:02X}>" for value in range(256))]
    text = Gemma3TextConfig(
        vocab_size=len(words) + 3,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=2048,
    )
    vision = SiglipVisionConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8
    )
    torch.manual_seed(1)
    config = Gemma3Config(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        mm_tokens_per_image=4,
        boi_token_index=len(words),
        eoi_token_index=len(words) + 1,
        image_token_index=len(words) + 2,
    )
    tokenizer = GemmaTokenizer(vocab={word: index for index, word in enumerate(words)}, model_max_length=1024)
    return Gemma3ForConditionalGeneration(config).eval(), tokenizer


def ltx2_sound() -> dict[str, Any]:
    """LTX-2 makes sound along with the picture: its autoencoder and vocoder."""
    from diffusers import AutoencoderKLLTX2Audio, FlowMatchEulerDiscreteScheduler
    from diffusers.pipelines.ltx2 import LTX2Vocoder

    torch.manual_seed(6)
    sound = AutoencoderKLLTX2Audio(
        base_channels=8,
        ch_mult=(1, 1, 1),
        num_res_blocks=1,
        latent_channels=2,
        mel_bins=16,
        resolution=16,
    )
    vocoder = LTX2Vocoder(
        in_channels=32,
        hidden_channels=8,
        upsample_kernel_sizes=[16, 16],
        upsample_factors=[8, 8],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3]],
    )
    return {"audio_vae": sound, "vocoder": vocoder, "scheduler": FlowMatchEulerDiscreteScheduler()}


def ltx2_parts() -> dict[str, Any]:
    from diffusers import AutoencoderKLLTX2Video, LTX2VideoTransformer3DModel
    from diffusers.pipelines.ltx2 import LTX2TextConnectors

    text, tokenizer = gemma()
    torch.manual_seed(3)
    transformer = LTX2VideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        audio_in_channels=8,
        audio_out_channels=8,
        audio_num_attention_heads=2,
        audio_attention_head_dim=4,
        audio_cross_attention_dim=8,
        num_layers=2,
        caption_channels=16,
        qk_norm="rms_norm_across_heads",
        vae_scale_factors=(8, 32, 32),
    )
    connectors = LTX2TextConnectors(
        caption_channels=16,
        text_proj_in_factor=3,
        video_connector_num_attention_heads=4,
        video_connector_attention_head_dim=4,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=None,
        audio_connector_num_attention_heads=4,
        audio_connector_attention_head_dim=4,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=None,
        connector_rope_base_seq_len=32,
    )
    torch.manual_seed(2)
    vae = AutoencoderKLLTX2Video(
        latent_channels=4,
        block_out_channels=(WIDE,) * 4,
        decoder_block_out_channels=(WIDE,) * 3,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 4,
        decoder_inject_noise=(False,) * 4,
        patch_size=4,
        upsample_factor=(1, 1, 1),
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    )
    return {
        **ltx2_sound(),
        "vae": vae,
        "transformer": attentive(transformer),
        "connectors": connectors,
        "text_encoder": text,
        "tokenizer": tokenizer,
    }


def save_ltx2(folder: Path) -> Path:
    from diffusers import LTX2ConditionPipeline

    return kept(LTX2ConditionPipeline(**ltx2_parts()), folder)


def save_ltx2_context(folder: Path) -> Path:
    from diffusers import LTX2InContextPipeline

    return kept(LTX2InContextPipeline(**ltx2_parts()), folder)


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "animatediff": save_animatediff,
    "animatediff_control": save_animatediff_control,
    "animatediff_text": save_animatediff_text,
    "animatediff_sparse": save_animatediff_sparse,
    "wan_vace": save_wan_vace,
    "wan_vace_two": save_wan_vace_two,
    "wan_video": save_wan_video,
    "wan_animate": save_wan_animate,
    "cogvideox": save_cogvideox,
    "cogvideox_control": save_cogvideox_control,
    "ltx": save_ltx,
    "ltx2": save_ltx2,
    "ltx2_context": save_ltx2_context,
    "sd": save_sd,
    "sd_control": save_sd_control,
    "sd_inpaint": save_sd_inpaint,
    "lcm": save_lcm,
    "sdxl": save_sdxl,
}
