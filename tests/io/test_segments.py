"""Films joined from segments: the same times, colours and sound as films written in one go."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vid2vid.errors import InvalidFrames
from vid2vid.io import VideoWriter, open_source, probe
from vid2vid.io.segments import Film, Piece, SegmentWriter, join_segments

Clip = Callable[..., Path]
SIZE = (96, 64)


def segments(film: Film, numbers: Any, times: list[Fraction], every: int) -> list[Piece]:
    pieces: list[Piece] = []
    for start in range(0, len(times), every):
        after = pieces[-1].ticks[-1] if pieces else -1
        writer = SegmentWriter(film.target.with_name(f"segment_{start}.mp4"), film, after)
        for index in range(start, min(start + every, len(times))):
            writer.write(numbers.draw(index, *SIZE), times[index])
        pieces.append(writer.finish())
    return pieces


def uneven(length: int, rate: Fraction) -> list[Fraction]:
    steps = np.random.default_rng(length).integers(1, 5, length)
    return [int(place) / rate for place in np.cumsum(steps) - steps[0]]


@pytest.mark.robustness(14)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize(("length", "every"), [(30, 8), (1, 8), (3, 1), (7, 2)])
def test_as_written_in_one_go(tmp_path: Path, numbers: Any, suffix: str, length: int, every: int) -> None:
    rate = Fraction(30000, 1001)
    times = uneven(length, rate)
    with VideoWriter(tmp_path / f"whole{suffix}", width=SIZE[0], height=SIZE[1], fps=rate) as writer:
        for index, time_s in enumerate(times):
            writer.write(numbers.draw(index, *SIZE), time_s)
    film = Film(tmp_path / f"joined{suffix}", *SIZE, rate, threads=2)
    join_segments(film, segments(film, numbers, times, every))
    with open_source(tmp_path / f"joined{suffix}") as source, open_source(tmp_path / f"whole{suffix}") as whole:
        frames = list(source)
        assert [frame.time_s for frame in frames] == [frame.time_s for frame in whole]
        assert [numbers.read(frame.pixels) for frame in frames] == list(range(length))
        assert source.report.notes == ()
    joined, written = probe(tmp_path / f"joined{suffix}"), probe(tmp_path / f"whole{suffix}")
    assert joined.duration_s == pytest.approx(written.duration_s, abs=1e-3)
    assert joined.pixel_format == written.pixel_format


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_colours_and_the_shape_of_pixels_stay(tmp_path: Path, numbers: Any, suffix: str) -> None:
    film = Film(tmp_path / f"joined{suffix}", *SIZE, Fraction(25), sample_aspect=Fraction(8, 9))
    join_segments(film, segments(film, numbers, [Fraction(n, 25) for n in range(10)], 4))
    with av.open(str(film.target)) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries) == (1, 1, 1, 1)
    with open_source(film.target) as source:
        assert source.sample_aspect == Fraction(8, 9) and source.info.fps == 25


def test_an_mp4_begins_with_its_index(tmp_path: Path, numbers: Any) -> None:
    film = Film(tmp_path / "joined.mp4", *SIZE, Fraction(25))
    join_segments(film, segments(film, numbers, [Fraction(n, 25) for n in range(10)], 4))
    content = film.target.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_segment_is_the_same_whenever_it_is_made(tmp_path: Path, numbers: Any) -> None:
    film = Film(tmp_path / "joined.mp4", *SIZE, Fraction(25), threads=4)
    times = [Fraction(n, 25) for n in range(20)]
    first = [piece.path.read_bytes() for piece in segments(film, numbers, times, 8)]
    assert [piece.path.read_bytes() for piece in segments(film, numbers, times, 8)] == first


def test_a_segment_can_be_read_as_far_as_it_was_written(tmp_path: Path, numbers: Any) -> None:
    film = Film(tmp_path / "joined.mp4", *SIZE, Fraction(25))
    piece = segments(film, numbers, [Fraction(n, 25) for n in range(8)], 8)[0]
    assert b"moof" in piece.path.read_bytes()


def test_a_failure_leaves_nothing(tmp_path: Path, numbers: Any) -> None:
    film = Film(tmp_path / "joined.mp4", *SIZE, Fraction(25))
    writer = SegmentWriter(tmp_path / "segment.mp4", film)
    writer.write(numbers.draw(0, *SIZE), Fraction(0))
    writer.abandon(KeyError())
    with pytest.raises(InvalidFrames):
        join_segments(film, [])
    pieces = segments(film, numbers, [Fraction(0)], 8)

    def refuse(path: Path) -> None:
        assert path.exists()
        raise KeyError

    with pytest.raises(KeyError):
        join_segments(film, pieces, finished=refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["segment_0.mp4"]
