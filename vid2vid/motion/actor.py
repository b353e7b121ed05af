"""An actor: cut-out pictures of one person with the joints found in them; kept as a folder or as one file.

Convention:
    Joints as in `vid2vid.motion.skeleton.BODY`, in pixels, x to the right, y downwards. Masks are coverage, 0 to 255.
    A folder holds `actor.json`, and for each view `view_00.jpg` with its mask `view_00.png`; `plate.jpg` where the
    scene is known. A file is a zip archive of the same. Nothing in either can run code.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from vid2vid.errors import InputNotFound, InvalidOption, NewerFormat, UnreadableContainer
from vid2vid.motion.skeleton import BODY

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from vid2vid.types import Picture

VERSION: Final = 1
MAX_VIEWS: Final = 24
SUFFIX: Final = ".actor"
"""Name of an actor kept as one file ends with this."""
_QUALITY: Final = 92
_MAX_MEMBER: Final = 64 * 2**20
_DESCRIPTION: Final = "actor.json"
_PLATE: Final = "plate.jpg"


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One picture of an actor, cut out of its scene."""

    picture: Picture
    """`(h, w, 3)` uint8 sRGB, cropped around the person with a margin; beyond the mask's edge the person's own colours
    go on, so that no fringe of the old scene shows where the mask is soft."""
    mask: NDArray[np.uint8]
    """`(h, w)` coverage, 0 to 255."""
    joints: NDArray[np.float32]
    """`(15, 2)` in pixels of this crop, as in `BODY`."""
    visibility: NDArray[np.float32]
    """`(15,)` in [0, 1]."""
    depth: NDArray[np.float32]
    """`(15,)` of the joints relative to the hip, in body heights; less is nearer."""
    facing: float
    """Sine of the direction looked in: +1 to the right of the picture, -1 to the left, 0 to or from the camera."""


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A person who can be put into another pose."""

    name: str
    views: tuple[View, ...]
    """1 to 24, spread over poses; all at one scale."""
    height: float
    """Of the person standing upright, in pixels of the views."""
    plate: Picture | None = None
    """The actor's scene without the actor, if known."""
    credit: str = ""
    """Source and licence of the pictures."""


def resized(view: View, scale: float) -> View:
    """The view `scale` times as large, and at least 8 pixels on either side."""
    scale = max(scale, 8.0 / min(view.mask.shape))
    way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    # Colours beside the person must not leak in, so they are weighted by coverage while they are averaged.
    weight = view.mask.astype(np.float32)[..., None] / 255.0 + 1e-3
    small = cv2.resize(weight, None, fx=scale, fy=scale, interpolation=way).clip(1e-3)
    colour = cv2.resize(view.picture * weight, None, fx=scale, fy=scale, interpolation=way) / small[..., None]
    return replace(
        view,
        picture=colour.clip(0, 255).astype(np.uint8),
        mask=(small.clip(0, 1) * 255).astype(np.uint8),
        joints=np.asarray((view.joints + 0.5) * scale - 0.5, np.float32),
    )


def save_actor(actor: Actor, path: str | os.PathLike[str]) -> None:
    """Writes an actor: a folder, or one file where the name ends with `.actor`.

    Raises:
        InvalidOption: the actor has no view, or more than 24.
        OSError: the place cannot be written.
    """
    if not 1 <= len(actor.views) <= MAX_VIEWS:
        raise InvalidOption(f"Actor {actor.name!r} has {len(actor.views)} views; 1 to {MAX_VIEWS} are allowed.")
    members, target = _members(actor), Path(path)
    if target.suffix == SUFFIX:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return
    target.mkdir(parents=True, exist_ok=True)
    for name, content in members.items():
        (target / name).write_bytes(content)


def load_actor(path: str | os.PathLike[str]) -> Actor:
    """Reads an actor that `save_actor` wrote.

    Raises:
        InputNotFound: there is no such folder or file, or it holds no actor.
        UnreadableContainer: a part is missing or damaged.
        NewerFormat: written by a later version.
    """
    source = Path(path)
    if not (source / _DESCRIPTION if source.is_dir() else source).is_file():
        raise InputNotFound(f"{str(path)!r} holds no actor: {_DESCRIPTION} is not there. Make one from a picture.")
    try:
        description = json.loads(_read(source, _DESCRIPTION))
        if description["version"] > VERSION:
            raise NewerFormat(
                f"{str(path)!r} has format {description['version']}; this one reads up to {VERSION}. Update vid2vid."
            )
        entries = description["views"][:MAX_VIEWS]
        plate = _picture(_read(source, _PLATE)) if description["plate"] else None
        return Actor(
            name=str(description["name"]),
            views=tuple(_view(source, number, entry) for number, entry in enumerate(entries)),
            height=float(description["height"]),
            plate=plate,
            credit=str(description["credit"]),
        )
    except (KeyError, ValueError, TypeError, OSError, zipfile.BadZipFile, cv2.error) as error:
        raise UnreadableContainer(f"{str(path)!r} is no complete actor ({error}). Make it again.") from error


def _members(actor: Actor) -> dict[str, bytes]:
    description = {
        "version": VERSION,
        "name": actor.name,
        "height": round(float(actor.height), 2),
        "credit": actor.credit,
        "plate": actor.plate is not None,
        "joints": list(BODY),
        "views": [_entry(view) for view in actor.views],
    }
    members = {_DESCRIPTION: json.dumps(description, indent=1).encode()}
    for number, view in enumerate(actor.views):
        members[f"view_{number:02d}.jpg"] = _jpeg(view.picture)
        members[f"view_{number:02d}.png"] = cv2.imencode(".png", view.mask, [cv2.IMWRITE_PNG_COMPRESSION, 9])[
            1
        ].tobytes()
    if actor.plate is not None:
        members[_PLATE] = _jpeg(actor.plate)
    return members


def _entry(view: View) -> dict[str, Any]:
    return {
        "facing": round(float(view.facing), 3),
        "joints": np.round(view.joints.astype(float), 2).tolist(),
        "visibility": np.round(view.visibility.astype(float), 3).tolist(),
        "depth": np.round(view.depth.astype(float), 4).tolist(),
    }


def _view(source: Path, number: int, entry: dict[str, Any]) -> View:
    picture = _picture(_read(source, f"view_{number:02d}.jpg"))
    mask = cv2.imdecode(np.frombuffer(_read(source, f"view_{number:02d}.png"), np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape != picture.shape[:2]:
        raise ValueError(f"the mask of view {number} does not fit its picture")
    count = len(BODY)
    return View(
        picture=picture,
        mask=np.asarray(mask, np.uint8),
        joints=np.asarray(entry["joints"], np.float32).reshape(count, 2),
        visibility=np.asarray(entry["visibility"], np.float32).reshape(count),
        depth=np.asarray(entry["depth"], np.float32).reshape(count),
        facing=float(entry["facing"]),
    )


def _read(source: Path, name: str) -> bytes:
    if source.is_dir():
        return (source / name).read_bytes()
    with zipfile.ZipFile(source) as archive:
        if archive.getinfo(name).file_size > _MAX_MEMBER:
            raise ValueError(f"{name} is larger than {_MAX_MEMBER} bytes")
        return archive.read(name)


def _jpeg(picture: Picture) -> bytes:
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        _QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes())


def _picture(content: bytes) -> Picture:
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError("a picture does not decode")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
