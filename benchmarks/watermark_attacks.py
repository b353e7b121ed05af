"""What happens to a marked clip on its way through the world."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from vid2vid.io import VideoWriter, open_source

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    from vid2vid.types import Picture

    Clip = list[Picture]
    Attack = Callable[[Clip], Clip]

_RATE: Final = 24
_OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "libx264": {"preset": "medium", "threads": "1"},
    "libx265": {"preset": "fast", "x265-params": "log-level=none:pools=none:frame-threads=1"},
    "libvpx-vp9": {"deadline": "good", "cpu-used": "5", "b": "0", "threads": "1"},
}


def coded(clip: Sequence[Picture], crf: int, codec: str = "libx264") -> Clip:
    """Encoded as 4:2:0 at even sizes and decoded again."""
    height, width = (side // 2 * 2 for side in clip[0].shape[:2])
    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as container:
        options = {"crf": str(crf), **_OPTIONS[codec]}
        stream = cast("VideoStream", container.add_stream(codec, rate=_RATE, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in clip:
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory, "r") as written:
        return [cast("Picture", frame.to_ndarray(format="rgb24")) for frame in written.decode(video=0)]


def sized(clip: Sequence[Picture], across: float, down: float | None = None) -> Clip:
    """Scaled to even sizes."""
    height, width = clip[0].shape[:2]
    size = (round(width * across / 2) * 2, round(height * (across if down is None else down) / 2) * 2)
    how = cv2.INTER_AREA if across < 1 else cv2.INTER_CUBIC
    return [np.asarray(cv2.resize(picture, size, interpolation=how)) for picture in clip]


def cropped(clip: Sequence[Picture], part: float) -> Clip:
    """`part` of width and height taken away, two fifths of it at the left and above."""
    height, width = clip[0].shape[:2]
    top, left = int(0.4 * part * height), int(0.4 * part * width)
    tall, wide = int((1 - part) * height) // 2 * 2, int((1 - part) * width) // 2 * 2
    return [picture[top : top + tall, left : left + wide] for picture in clip]


def upright(clip: Sequence[Picture]) -> Clip:
    """The middle of a wide picture at 9:16, for telephones."""
    height, width = clip[0].shape[:2]
    wide = int(height * 9 / 16) // 2 * 2
    left = (width - wide) // 2
    return [picture[:, left : left + wide] for picture in clip]


def barred(clip: Sequence[Picture]) -> Clip:
    """Black bars above and below, up to a square."""
    height, width = clip[0].shape[:2]
    bar = max(0, (width - height) // 2)
    return [np.asarray(cv2.copyMakeBorder(picture, bar, bar, 0, 0, cv2.BORDER_CONSTANT)) for picture in clip]


def faster(clip: Sequence[Picture]) -> Clip:
    """24 to 30 frames a second, neighbours mixed."""
    made = []
    for number in range(len(clip) * 5 // 4 - 1):
        first, share = divmod(number * 4, 5)
        made.append(np.asarray(cv2.addWeighted(clip[first], 1 - share / 5, clip[first + 1], share / 5, 0)))
    return made


def recoloured(clip: Sequence[Picture]) -> Clip:
    """A tenth brighter, less contrast, a quarter more saturated."""
    made = []
    for picture in clip:
        grey = picture.mean(-1, keepdims=True)
        made.append(np.clip((grey + 1.25 * (picture - grey)) * 0.9 + 26, 0, 255).astype(np.uint8))
    return made


def turned(clip: Sequence[Picture], degrees: float) -> Clip:
    """Turned, and enlarged so that no corner is empty."""
    height, width = clip[0].shape[:2]
    angle = abs(np.radians(degrees))
    enlarge = float(np.cos(angle) + max(width / height, height / width) * np.sin(angle))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, enlarge)
    return [np.asarray(cv2.warpAffine(picture, turn, (width, height), flags=cv2.INTER_CUBIC)) for picture in clip]


def with_logo(clip: Sequence[Picture]) -> Clip:
    """A sign in a corner and a line of text below."""
    made = []
    for picture in clip:
        new = picture.copy()
        height, width = new.shape[:2]
        cv2.circle(new, (int(0.9 * width), int(0.15 * height)), height // 12, (250, 210, 40), -1, cv2.LINE_AA)
        place = (width // 5, int(0.92 * height))
        cv2.putText(new, "some words below", place, cv2.FONT_HERSHEY_SIMPLEX, height / 360, (255,) * 3, 2, cv2.LINE_AA)
        made.append(new)
    return made


def blurred(clip: Sequence[Picture]) -> Clip:
    """A Gaussian blur of 1.5 pixels."""
    return [np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.5)) for picture in clip]


def one_jpeg(clip: Sequence[Picture]) -> Clip:
    """The middle frame as a JPEG of quality 50."""
    _, file = cv2.imencode(".jpg", clip[len(clip) // 2], [cv2.IMWRITE_JPEG_QUALITY, 50])
    return [np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))]


def as_gif(clip: Sequence[Picture]) -> Clip:
    """Every other frame at three quarters of the size, 256 colours a frame."""
    small = sized(clip[::2], 0.75)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.gif"
        with VideoWriter(path, width=small[0].shape[1], height=small[0].shape[0], fps=12) as writer:
            for number, picture in enumerate(small):
                writer.write(picture, Fraction(number, 12))
        with open_source(path) as source:
            return [frame.pixels.copy() for frame in source]


def mirrored(clip: Sequence[Picture]) -> Clip:
    """Left and right exchanged."""
    return [picture[:, ::-1] for picture in clip]


def then(*steps: Attack) -> Attack:
    """One after the other."""

    def attack(clip: Clip) -> Clip:
        for step in steps:
            clip = step(clip)
        return clip

    return attack


_18, _28, _33 = (partial(coded, crf=crf) for crf in (18, 28, 33))
_HALF, _CROP_10, _CROP_25 = partial(sized, across=0.5), partial(cropped, part=0.10), partial(cropped, part=0.25)
CORE: Final[Mapping[str, Attack]] = {
    "CRF 28": _28,
    "half size, CRF 28": then(_HALF, _28),
    "crop 10 %, half size, CRF 28": then(_CROP_10, _HALF, _28),
    "crop 25 %, CRF 28": then(_CROP_25, _28),
}
MORE: Final[Mapping[str, Attack]] = {
    "CRF 18": _18,
    "CRF 33": _33,
    "crop 10 %, CRF 28": then(_CROP_10, _28),
    "CRF 18, then half size, CRF 28": then(_18, _HALF, _28),
    "crop 25 %, half size, CRF 28": then(_CROP_25, _HALF, _28),
    "9:16 out of the middle, CRF 28": then(upright, _28),
    "24 to 30 frames a second, CRF 28": then(faster, _28),
    "colours, CRF 28": then(recoloured, _28),
    "mirrored, CRF 28": then(mirrored, _28),
    "H.265 CRF 28": partial(coded, crf=28, codec="libx265"),
    "VP9 CRF 36": partial(coded, crf=36, codec="libvpx-vp9"),
    "GIF, 3/4 size, 12 a second": as_gif,
    "letterbox to a square, CRF 28": then(barred, _28),
    "logo and text, CRF 28": then(with_logo, _28),
    "blur 1.5 px, CRF 28": then(blurred, _28),
    "one frame as JPEG 50": one_jpeg,
    "one frame of CRF 28": lambda clip: coded(clip, 28)[20:21],
    "turned 1.3 degrees, CRF 28": then(partial(turned, degrees=1.3), _28),
    "turned -2 degrees, CRF 28": then(partial(turned, degrees=-2.0), _28),
    "5 % wider, CRF 28": then(partial(sized, across=1.05, down=1.0), _28),
    "5 % narrower, CRF 28": then(partial(sized, across=0.95, down=1.0), _28),
}
SMALL: Final[Mapping[str, Attack]] = {
    "256x256: CRF 28": _28,
    "256x256: crop 10 %, CRF 28": then(_CROP_10, _28),
    "256x256: half size, CRF 28": then(_HALF, _28),
}
LARGE: Final[Mapping[str, Attack]] = {
    "1280x720: half size, CRF 28": then(_HALF, _28),
    "1280x720: crop 25 %, CRF 28": then(_CROP_25, _28),
}
