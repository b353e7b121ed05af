"""Several processes that train one net: they share slots, agree on losses, gradients and what comes next."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import GradientAccumulationPlugin, broadcast
from torch import Tensor, nn

from vid2vid.backbones import choose_device, default_dtype
from vid2vid.errors import EngineUnavailable
from vid2vid.fitting import FitConfig

_PRECISIONS: Final = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}


def start(config: FitConfig, folder: Path) -> Accelerator:
    """Joins the other processes, if there are any, and chooses device and precision.

    Raises:
        EngineUnavailable: the device is not there, or the tracker is not installed.
    """
    device = choose_device(config.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    if config.tracker and find_spec("tensorboard") is None and find_spec("tensorboardX") is None:
        raise EngineUnavailable("tracker=True needs TensorBoard, which is not installed: pip install tensorboard")
    # accelerate keeps what the last run in this process asked for, and refuses anything else.
    AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    GradientState._reset_state()
    accelerator = Accelerator(
        cpu=device.type == "cpu",
        mixed_precision=config.precision or _PRECISIONS[default_dtype(device)],
        gradient_accumulation_plugin=GradientAccumulationPlugin(config.accumulate, sync_with_dataloader=False),
        log_with="tensorboard" if config.tracker else None,
        project_dir=str(folder),
    )
    if config.tracker:
        accelerator.init_trackers("tracker")
    return accelerator


@contextmanager
def main_first(device: str | None) -> Iterator[bool]:
    """Lets the main process through the block before the others; tells whether this is it.

    Alone, a process is the main one and nothing is set up.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield True
        return
    state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available())
    with state.main_process_first():
        yield state.is_main_process


def mean_losses(
    accelerator: Accelerator, total: Tensor, terms: Mapping[str, Tensor], slots: int
) -> tuple[float, dict[str, float], float]:
    """Losses over all slots of all processes.

    Args:
        accelerator: of the run.
        total, terms: this process's losses, each a mean over its slots.
        slots: how many it has.

    Returns:
        The total (not finite in all processes if it is not in one), the terms, and the factor by which this process's
        total must be weighed so that the mean of all gradients is that of all slots.
    """
    values = torch.stack((total.detach().float(), *(value.float() for value in terms.values())))
    weight = 1.0
    if accelerator.num_processes > 1:
        summed = accelerator.reduce(torch.cat((values * slots, values.new_tensor([float(slots)]))), "sum")
        values = summed[:-1] / summed[-1]
        weight = slots * accelerator.num_processes / float(summed[-1])
    whole, *each = values.tolist()
    return whole, dict(zip(terms, each, strict=True)), weight


def average_gradients(accelerator: Accelerator, parameters: Iterable[nn.Parameter]) -> None:
    """Gives every process the mean of all processes' gradients.

    torch's wrapper for several processes would do so, but allows one pass through a net for each step and no weights
    that are not used; a window is several passes.
    """
    if accelerator.num_processes == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
    for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view(gradient.shape))


def told_by_main(accelerator: Accelerator, numbers: Sequence[float]) -> list[float]:
    """The main process's numbers, in all processes."""
    if accelerator.num_processes == 1:
        return list(numbers)
    told = torch.tensor(numbers, dtype=torch.float64, device=accelerator.device)
    heard: list[float] = broadcast(told).tolist()
    return heard


def take_from_main(accelerator: Accelerator, tensors: Iterable[Tensor]) -> None:
    """Fills tensors with the main process's values."""
    if accelerator.num_processes > 1:
        for tensor in tensors:
            tensor.copy_(broadcast(tensor.contiguous()))
