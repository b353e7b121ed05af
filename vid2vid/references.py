"""References: what the caller shows to say how the result should look."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vid2vid.errors import InvalidFrames, InvalidOption
from vid2vid.hashing import file_hash
from vid2vid.io import read_image
from vid2vid.io.containers import IMAGE_SUFFIXES
from vid2vid.io.pictures import list_images
from vid2vid.types import Reference

if TYPE_CHECKING:
    from vid2vid.types import Picture


def read_references(reference: Any) -> tuple[Reference, ...]:
    """Loads references.

    Args:
        reference: None; the path of a picture, of a clip or of a folder of pictures; a `(H, W, 3)` or `(N, H, W, 3)`
            uint8 array; a sequence of those; or a mapping that gives them names, such as a figure's number.

    Returns:
        One entry for each path, array or picture given, in order. Of a clip, the first frame is loaded.

    Raises:
        InputError: a picture cannot be read, or a folder holds none.
        InvalidOption: something else was given.
    """
    if reference is None:
        return ()
    if isinstance(reference, Mapping):
        return tuple(
            replace(entry, name=str(name)) for name, one in reference.items() for entry in read_references(one)
        )
    if isinstance(reference, Sequence) and not isinstance(reference, str):
        return tuple(entry for one in reference for entry in read_references(one))
    return (_read(reference),)


def pictures_of(references: Sequence[Reference]) -> tuple[Picture, ...]:
    """All pictures of all references, in order."""
    return tuple(picture for reference in references for picture in reference.pictures)


def reference_hash(reference: Reference) -> str:
    """SHA-256 in hexadecimal of the file given, or of the pixels where there is none."""
    if reference.path is not None and reference.path.is_file():
        return file_hash(reference.path)
    found = hashlib.sha256()
    for picture in reference.pictures:
        found.update(str(picture.shape).encode())
        found.update(np.ascontiguousarray(picture).data)
    return found.hexdigest()


def _read(one: Any) -> Reference:
    if isinstance(one, np.ndarray):
        pictures = one if one.ndim == 4 else one[None]
        if pictures.ndim != 4 or pictures.shape[-1] != 3 or pictures.dtype != np.uint8 or 0 in pictures.shape:
            raise InvalidFrames(
                f"A reference array of shape {one.shape} and type {one.dtype} was given; "
                "(H, W, 3) or (N, H, W, 3) uint8 sRGB is needed."
            )
        return Reference(tuple(pictures))
    if isinstance(one, (str, os.PathLike)):
        path = Path(one)
        if path.is_dir():
            return Reference(tuple(read_image(file) for file in list_images(path)), path=path)
        return Reference((read_image(path),), path=path, is_clip=path.suffix.lower() not in IMAGE_SUFFIXES)
    raise InvalidOption(
        f"reference of type {type(one).__name__}: the path of an image or clip, an array, a list of those or a "
        "mapping from names to them is needed."
    )
