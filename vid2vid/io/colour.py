"""Turns decoded frames of any pixel format into upright `(H, W, 3)` uint8 sRGB pictures.

Convention:
    The YCbCr matrix comes from the frame's tag, else from its size (BT.709 from 720 lines or 1280 columns on, BT.601
    below). The range comes from the tag, else limited. HDR (PQ, HLG) and wide primaries are brought to SDR BT.709 by
    swscale, which maps graphics white to white and clips brighter highlights. Alpha is laid over black.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from vid2vid.io.containers import check_size
from vid2vid.io.orientation import Orientation

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from vid2vid.types import Picture

_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
"""AVColorSpace, as decoders tag frames, to swscale's numbering."""
_WIDE_PRIMARIES = frozenset({int(ColorPrimaries.BT2020), int(ColorPrimaries.SMPTE431), int(ColorPrimaries.SMPTE432)})
_HDR = {int(ColorTrc.SMPTE2084): "PQ", int(ColorTrc.ARIB_STD_B67): "HLG"}
_SDR_CURVES = frozenset({1, 6, 13, 14, 15})
_JPEG_MATRIX_CODECS = frozenset({"mjpeg", "webp"})
"""Formats that are BT.601 by their own specification, whatever their size."""


class RgbConverter:
    """Converts the frames of one stream; the first frame sets the size of all."""

    def __init__(
        self, width: int, height: int, orientation: Orientation, codec: str = "", *, expect_size: bool = True
    ) -> None:
        """Keeps what holds for every frame.

        Args:
            width: columns of the stored picture, before it is turned upright.
            height: rows of the stored picture.
            orientation: how to turn it.
            codec: canonical codec name.
            expect_size: whether a frame of another size is worth a note.
        """
        self.notes: dict[str, None] = {}
        self._width, self._height, self._orientation, self._codec = width, height, orientation, codec
        self._reformatter, self._expect_size = VideoReformatter(), expect_size
        self._last: tuple[VideoFrame, Picture] | None = None

    def convert(self, frame: VideoFrame) -> Picture:
        """Gives the frame as an upright picture; a repeated frame gives the same array again.

        Returns:
            (H, W, 3) uint8 sRGB, C-contiguous, not to be written to.

        Raises:
            TooLarge, TooSmall: the stream changed to a size out of bounds.
        """
        if self._last is not None and self._last[0] is frame:
            return self._last[1]
        if (frame.width, frame.height) != (self._width, self._height):
            check_size(frame.width, frame.height, "a frame")
            if self._expect_size:
                change = f"{frame.width}x{frame.height}"
                self.notes[f"size changes to {change} within the clip; scaled to the first size"] = None
        if any(component.is_alpha for component in frame.format.components):
            picture = self._over_black(cast("Picture", self._reformat(frame, "rgba").to_ndarray()))
        else:
            picture = cast("Picture", self._reformat(frame, "rgb24").to_ndarray())
        picture = self._orientation.apply(picture)
        self._last = (frame, picture)
        return picture

    def _over_black(self, rgba: Picture) -> Picture:
        alpha = rgba[..., 3:].astype(np.uint16)
        if alpha.min() == 255:
            return rgba[..., :3]
        self.notes["transparent parts laid over black"] = None
        return ((rgba[..., :3] * alpha + 127) // 255).astype(np.uint8)

    def _reformat(self, frame: VideoFrame, pixel_format: str) -> VideoFrame:
        curve, primaries = self._sdr_target(frame)
        return self._reformatter.reformat(
            frame,
            width=self._width,
            height=self._height,
            format=pixel_format,
            src_colorspace=self._matrix(frame),
            src_color_range=_range(frame),
            dst_color_range=ColorRange.JPEG,
            dst_color_trc=curve,
            dst_color_primaries=primaries,
            interpolation=Interpolation.BICUBIC,
            threads=1,
        )

    def _matrix(self, frame: VideoFrame) -> Colorspace | None:
        if frame.format.is_rgb:
            return None
        if self._codec in _JPEG_MATRIX_CODECS:
            return Colorspace.ITU601
        high = frame.height >= 720 or frame.width >= 1280
        return _MATRICES.get(frame.colorspace, Colorspace.ITU709 if high else Colorspace.ITU601)

    def _sdr_target(self, frame: VideoFrame) -> tuple[int | None, int | None]:
        if frame.color_trc in _HDR:
            self.notes[f"HDR ({_HDR[frame.color_trc]}) brought to SDR; highlights above white are clipped"] = None
            return ColorTrc.IEC61966_2_1, ColorPrimaries.BT709
        if frame.color_primaries in _WIDE_PRIMARIES and frame.color_trc in _SDR_CURVES:
            self.notes["wide-gamut colours brought to sRGB's primaries"] = None
            return frame.color_trc, ColorPrimaries.BT709
        return None, None


def _range(frame: VideoFrame) -> ColorRange:
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    # Untagged grey comes from images, which are full range; FFmpeg's own scaler reads it so, too.
    grey = frame.format.name.startswith("gray") and frame.color_range == ColorRange.UNSPECIFIED
    return ColorRange.JPEG if full or grey or frame.format.is_rgb else ColorRange.MPEG
