"""Reading and checking weights: safetensors only, and never half a network."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from vid2vid.errors import BadWeights, CorruptWeights, InputNotFound, UnsafeFormat, WeightsMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from vid2vid.backbones.generator import CompactGenerator

_ARCHIVE_STARTS = (
    b"PK",
    b"\x80\x02",
    b"\x80\x03",
    b"\x80\x04",
    b"\x80\x05",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
)
"""Pickles from protocol 2 on, zip (which torch.save writes) and packed archives, in which there may be one."""
_PICKLE_SUFFIXES = frozenset({".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".t7"})
_FORMATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_HEADER = struct.Struct("<Q")
_MAX_HEADER = 100 * 10**6
"""What the safetensors library itself refuses beyond."""
_POINTER_START = b"version https://git-lfs"
_SHOWN = 5


class Formed(Protocol):
    """A network that names its form: what its layers compute, beyond names and shapes of their weights."""

    form: str

    def state_dict(self) -> dict[str, Any]:
        """Weights by name."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Takes weights by name."""


def load_weights(net: Formed, path: Path) -> None:
    """Fills a network with the weights in a file, as float32; the network is unchanged if any check fails.

    Raises:
        InputNotFound: no such file.
        UnsafeFormat: the file is a pickle, whatever its name.
        CorruptWeights: the file is damaged.
        WeightsMismatch: names or shapes differ from the network's.
        BadWeights: a value is NaN or infinite.
    """
    tensors = _read(net, path)
    check_weights(net, tensors, str(path))
    net.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})


def load_trunk(net: CompactGenerator, path: Path) -> bool:
    """Starts a generator from another task's weights: the trunk, and what else has the same shape.

    Of the stem for condition maps, the part that sees the source is taken over; channels that the other task did not
    have start at zero, so that the net begins as it was and learns what the new maps are for.

    Returns:
        Whether the trunks have the same shape; if not, the net is unchanged.

    Raises:
        ModelError, InputError: as in `load_weights`.
    """
    tensors, own = _read(net, path), net.state_dict()
    if _trunk_shapes(tensors) != _trunk_shapes(own):
        return False
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor.float()).all():
            raise BadWeights(f"'{path}' holds values that are not finite in '{name}'. Train it again.")
        if name in own and own[name].shape == tensor.shape:
            own[name] = tensor.float()
    stem = "stem_maps.weight"
    if stem in tensors and tensors[stem].shape != own[stem].shape:
        own[stem] = _widened(tensors[stem].float(), own[stem], net.reduction**2)
    net.load_state_dict(own)
    return True


def start_from(net: CompactGenerator, start: str, bundled: Path | None, owner: str) -> str:
    """Starts a generator as `TrainConfig.start` says.

    Args:
        net: changed in place.
        start: `trunk` for the bundled weights where they fit, `scratch` for nothing, else a file of weights.
        bundled: weights that come with the package, if any.
        owner: what the generator belongs to, for the error.

    Returns:
        What it started from: `trunk`, `scratch`, or the file's name.

    Raises:
        WeightsMismatch: a file was named, and its trunk has another shape.
    """
    if start in ("trunk", "scratch"):
        fits = start == "trunk" and bundled is not None and load_trunk(net, bundled)
        return "trunk" if fits else "scratch"
    if not load_trunk(net, Path(start)):
        raise WeightsMismatch(
            f"start='{start}' has another trunk than {owner}. Choose weights of its shape, or start='scratch'."
        )
    return Path(start).name


def _trunk_shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """With the unfolding head's, which tell reductions apart."""
    return {name: value.shape for name, value in tensors.items() if name.startswith(("trunk.", "unfold."))}


def _widened(stem: Tensor, like: Tensor, pixels: int) -> Tensor:
    """A stem's weights for more, or fewer, channels of each pixel; those that are new start at zero."""
    width, _, rows, columns = like.shape
    if stem.shape[0] != width or stem.shape[1] % pixels:
        return like
    wide = torch.zeros_like(like).view(width, pixels, -1, rows, columns)
    old = stem.view(width, pixels, -1, rows, columns)
    shared = min(old.shape[2], wide.shape[2])
    wide[:, :, :shared] = old[:, :, :shared]
    return wide.reshape(like.shape)


def _read(net: Formed, path: Path) -> dict[str, Tensor]:
    """The tensors of a file that is what it says and was made for this form of network."""
    if not path.is_file():
        raise InputNotFound(f"There are no weights at '{path}'. Give the path of a .safetensors file.")
    check_safetensors(path)
    try:
        with safe_open(path, "pt") as opened:
            form = (opened.metadata() or {}).get("form")
        tensors = load_file(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise _corrupt(path, f"cannot be read{_shortfall(path)}: {error}") from error
    odd = next((name for name, tensor in tensors.items() if tensor.dtype not in _FORMATS), None)
    if odd is not None:
        raise WeightsMismatch(
            f"'{path}' holds {tensors[odd].dtype} in '{odd}'; floating point of 16 bits up is needed."
        )
    if form != net.form:
        raise WeightsMismatch(
            f"'{path}' was trained for the network form {form!r}, this one is {net.form!r}. Train it again."
        )
    return tensors


def check_safetensors(path: Path) -> None:
    """Looks at a file's first bytes and its size, so that nothing but a safetensors file is ever opened as one.

    Raises:
        UnsafeFormat: it is a pickle or an archive, whatever its name.
        CorruptWeights: it is cut short, a Git LFS pointer, a web page or something else.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
    length = _HEADER.unpack(head[: _HEADER.size])[0] if len(head) >= _HEADER.size else 0
    own = head[_HEADER.size : _HEADER.size + 1] == b"{"
    if not own and (head.startswith(_ARCHIVE_STARTS) or path.suffix.lower() in _PICKLE_SUFFIXES):
        raise UnsafeFormat(
            f"'{path}' is a pickle or an archive, which could run code when opened. Only safetensors files are read."
        )
    if head.startswith(_POINTER_START):
        raise _corrupt(path, "is a Git LFS pointer, which stands for the file; `git lfs pull` fetches it")
    if head.lstrip()[:1] == b"<":
        raise _corrupt(path, "is a web page, such as a proxy's or a login's")
    if not own:
        raise _corrupt(path, "is no safetensors file")
    if length > _MAX_HEADER or _HEADER.size + length > size:
        raise _corrupt(path, f"is cut short: its header alone has {length} bytes")


def _shortfall(path: Path) -> str:
    """Says how many bytes are missing, as far as the file's own header tells."""
    with path.open("rb") as file:
        length = _HEADER.unpack(file.read(_HEADER.size))[0]
        try:
            entries = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
            wanted = _HEADER.size + length + max(ends)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return ""
    return f" (its header speaks of {wanted} bytes)" if wanted != path.stat().st_size else ""


def _corrupt(path: Path, why: str) -> CorruptWeights:
    size = path.stat().st_size
    return CorruptWeights(f"'{path}' ({size} bytes) {why}. Fetch or train the weights again.")


def check_weights(net: Formed, tensors: Mapping[str, Tensor], origin: str) -> None:
    """Compares names, shapes and values with what the network needs.

    Raises:
        WeightsMismatch, BadWeights: as in `load_weights`.
    """
    needed = net.state_dict()
    faults = [f"{name} is missing" for name in needed if name not in tensors]
    faults += [f"{name} is unknown" for name in tensors if name not in needed]
    faults += [
        f"{name} has shape {tuple(tensors[name].shape)}, needed {tuple(value.shape)}"
        for name, value in needed.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise WeightsMismatch(f"'{origin}' does not fit the network: {'; '.join(faults[:_SHOWN])}{more}.")
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor.float()).all():
            raise BadWeights(
                f"'{origin}' holds values that are not finite in '{name}'. Train or fetch the weights again."
            )


def save_weights(net: Formed, path: Path) -> None:
    """Writes a network's weights as float16, which halves the file and changes no picture visibly."""
    halved = {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in net.state_dict().items()}
    save_file(halved, path, metadata={"form": net.form})
