"""Metrics against values known beforehand."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vid2vid import metrics
from vid2vid.conditions.flow import FlowEstimator
from vid2vid.errors import EmptyInput, EngineUnavailable, InvalidFrames, Vid2VidError
from vid2vid.metrics import Correspondence, correspond, measure, psnr_db, sharpness, warp_error

Picture = NDArray[np.uint8]


def texture(height: int = 96, width: int = 160, seed: int = 0) -> Picture:
    """Smooth random texture that optical flow can follow."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(height, width, 3)).astype(np.float32), (0, 0), 2.0)
    return np.clip(128 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)


def panned(count: int, step_px: int = 2, seed: int = 0) -> list[Picture]:
    """A camera pan by a whole number of pixels a frame: every frame shows its predecessor shifted."""
    wide = texture(96, 160 + step_px * count, seed)
    return [np.ascontiguousarray(wide[:, i * step_px : i * step_px + 160]) for i in range(count)]


@pytest.fixture(scope="module")
def pan() -> list[Picture]:
    return panned(6)


def test_equal_clips_are_perfect(pan: list[Picture]) -> None:
    found = measure(pan, pan, pan)
    assert found.frames == 6
    assert found.psnr_db == metrics.LARGEST_PSNR_DB == found.source_psnr_db
    assert found.ssim == pytest.approx(1.0, abs=1e-5)
    assert found.motion_degree == pytest.approx(1.0)
    assert found.warp_error == found.source_warp_error
    assert found.sharpness == found.source_sharpness


def test_warp_error_of_a_known_shift_is_the_squared_difference() -> None:
    earlier = np.full((32, 32, 3), 100, np.uint8)
    later = np.full((32, 32, 3), 151, np.uint8)
    everywhere = Correspondence(np.zeros((32, 32, 2), np.float32), np.ones((32, 32), np.bool_))
    assert warp_error(earlier, later, everywhere) == pytest.approx((51 / 255) ** 2)


def test_warp_error_moves_the_later_picture_back(pan: list[Picture]) -> None:
    """With the true flow of (-2, 0) and its right border left out nothing remains; with the opposite flow much does."""
    flow = np.zeros((96, 160, 2), np.float32)
    flow[..., 0] = -2.0
    visible = np.ones((96, 160), np.bool_)
    visible[:, :2] = False
    assert warp_error(pan[0], pan[1], Correspondence(flow, visible)) == pytest.approx(0.0, abs=1e-9)
    assert (warp_error(pan[0], pan[1], Correspondence(-flow, visible)) or 0.0) > 1e-3


def test_warp_error_looks_at_visible_pixels_only() -> None:
    earlier, later = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    later[:, :4] = 255
    visible = np.zeros((8, 8), np.bool_)
    still = np.zeros((8, 8, 2), np.float32)
    assert warp_error(earlier, later, Correspondence(still, visible)) is None
    visible[:, 4:] = True
    assert warp_error(earlier, later, Correspondence(still, visible)) == 0.0
    visible[:, 3] = True
    assert warp_error(earlier, later, Correspondence(still, visible)) == pytest.approx(8 / 40)


def test_a_pan_hides_what_leaves_the_picture(pan: list[Picture]) -> None:
    seen = correspond(pan[0], pan[1], FlowEstimator("medium"))
    assert np.median(seen.flow[..., 0]) == pytest.approx(-2.0, abs=0.1)
    assert not seen.visible[:, :2].any()
    assert seen.visible[:, 12:-12].mean() > 0.98


def test_what_is_covered_counts_as_hidden() -> None:
    """A square that moves by 16 pixels covers a strip of the ground before it: flow there does not lead back."""
    frames = []
    for left in (80, 96):
        frame = texture(192, 320, seed=1)
        frame[40:136, left : left + 96] = texture(96, 96, seed=2)
        frames.append(frame)
    seen = correspond(frames[0], frames[1], FlowEstimator("medium")).visible
    covered, beyond, inside = seen[50:126, 178:190], seen[50:126, 202:], seen[50:126, 90:166]
    assert covered.mean() < 0.1
    assert beyond.mean() > 0.95 and inside.mean() > 0.95


def test_flicker_raises_the_warp_error_by_its_square(pan: list[Picture]) -> None:
    """Brightness that alternates by 8 levels differs by that from frame to frame: (8/255)^2 on top."""
    softer = [(frame // 2 + 64).astype(np.uint8) for frame in pan]
    flickering = [frame + np.uint8(8 * (i % 2)) for i, frame in enumerate(softer)]
    calm, nervous = measure(softer, pan), measure(flickering, pan)
    assert nervous.warp_error - calm.warp_error == pytest.approx((8 / 255) ** 2, rel=0.03)
    assert nervous.source_warp_error == calm.source_warp_error


def test_blur_lowers_sharpness_and_a_frozen_clip_has_no_motion(pan: list[Picture]) -> None:
    blurred = measure([cv2.GaussianBlur(frame, (0, 0), 2.0) for frame in pan], pan)
    assert blurred.sharpness < 0.5 * (blurred.source_sharpness or 0.0)
    frozen = measure([pan[0]] * 6, pan)
    assert frozen.motion_degree == pytest.approx(0.0, abs=0.02)


def test_sharpness_of_a_checkerboard() -> None:
    """Every pixel differs by 255 from its four neighbours: the Laplacian is +-1020."""
    board = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    assert sharpness(np.repeat(board[..., None], 3, axis=2)) == pytest.approx(1020.0**2, rel=1e-4)


def test_psnr_of_a_known_error() -> None:
    grey = np.full((16, 16, 3), 100, np.uint8)
    assert psnr_db(grey, grey + 10) == pytest.approx(20 * np.log10(255 / 10), abs=1e-6)


def test_ssim_of_plain_pictures_follows_its_formula() -> None:
    """Without contrast, SSIM is the luminance term alone."""
    dark, bright = np.full((32, 32, 3), 51, np.uint8), np.full((32, 32, 3), 102, np.uint8)
    wanted = (2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4)
    assert metrics.ssim(dark, bright) == pytest.approx(wanted, abs=1e-4)
    assert metrics.ssim(dark[:8], bright[:8]) is None


def test_price_of_doing_nothing(pan: list[Picture]) -> None:
    darker = [(frame * 0.8).astype(np.uint8) for frame in pan]
    found = measure(pan, darker, pan)
    assert found.psnr_db == metrics.LARGEST_PSNR_DB
    assert found.source_psnr_db == pytest.approx(np.mean([psnr_db(a, b) for a, b in zip(darker, pan, strict=True)]))


def test_without_source_the_note_says_so(pan: list[Picture]) -> None:
    found = measure(pan)
    assert found.source_warp_error is None and found.motion_degree is None and found.psnr_db is None
    assert any("No source" in note for note in found.notes)


def test_a_still_source_gives_no_motion_degree(pan: list[Picture]) -> None:
    found = measure(pan[:3], [pan[0]] * 3)
    assert found.motion_degree is None
    assert any("stands still" in note for note in found.notes)


def test_single_frame_has_no_warp_error(pan: list[Picture]) -> None:
    found = measure(pan[:1], pan[:1])
    assert np.isnan(found.warp_error) and found.frames == 1
    assert any("warp error cannot be given" in note for note in found.notes)


@pytest.mark.parametrize("shorter", ["output", "source", "target"])
def test_clips_of_different_length_are_compared_as_far_as_both_go(pan: list[Picture], shorter: str) -> None:
    clips = {"output": pan, "source": pan, "target": pan}
    clips[shorter] = pan[:4]
    found = measure(**clips)
    assert found.frames == 4
    assert any("only these were compared" in note and shorter in note for note in found.notes)


def test_another_size_is_resized_and_noted(pan: list[Picture]) -> None:
    larger = [cv2.resize(frame, (320, 192), interpolation=cv2.INTER_CUBIC) for frame in pan]
    found = measure(pan, larger, pan)
    assert (found.source_psnr_db or 0.0) > 35.0
    assert any("320x192" in note and "160x96" in note for note in found.notes)


def bad_frames() -> dict[str, list[object]]:
    good = texture(32, 32)
    return {
        "float": [good.astype(np.float32)],
        "grey": [good[..., 0]],
        "alpha": [np.zeros((32, 32, 4), np.uint8)],
        "list": [[1, 2, 3]],
        "changing": [good, texture(32, 40)],
    }


@pytest.mark.parametrize("kind", bad_frames())
def test_what_is_no_frame_is_refused(kind: str) -> None:
    with pytest.raises(InvalidFrames, match="of the output"):
        measure(bad_frames()[kind])  # type: ignore[arg-type]


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(EmptyInput) as caught:
        measure(iter(()))
    assert isinstance(caught.value, Vid2VidError)


def test_frames_are_streamed() -> None:
    """No more than a few frames of a clip are alive at any time."""
    alive: set[int] = set()
    most = 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            alive.discard(id(self))

    def stream() -> Iterator[Picture]:
        nonlocal most
        for index in range(40):
            frame = texture(32, 32, seed=index).view(Counted)
            alive.add(id(frame))
            most = max(most, len(alive))
            yield frame

    assert measure(stream()).frames == 40
    assert 1 <= most <= 3


def test_spread_stays_even_and_small() -> None:
    spread = metrics._Spread()
    taken = 0
    for index in range(1000):
        if spread.wants(index):
            taken += 1
            spread.add(index, {"value": float(index)})
    kept = sorted(spread.values)
    assert metrics.SPREAD_FRAMES // 2 <= len(kept) <= metrics.SPREAD_FRAMES
    assert set(np.diff(kept)) == {spread.stride} == {64}
    assert kept[0] == 0 and kept[-1] > 1000 - 2 * spread.stride
    assert taken < 150


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The ST-LPIPS package itself, without the two modules that it imports and does not need."""
    for module, name in (("IPython", "embed"), ("torchsummary", "summary")):
        stub = types.ModuleType(module)
        setattr(stub, name, None)
        monkeypatch.setitem(sys.modules, module, stub)
    return pytest.importorskip("stlpips_pytorch.stlpips", exc_type=ImportError)


def test_st_lpips_is_the_packages_own(package: types.ModuleType) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (64, 80, 3), dtype=np.uint8) for _ in range(2)]
    found = measure(pictures[:1], None, pictures[1:])
    theirs = package.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
    with torch.inference_mode():
        wanted = theirs(*(metrics.as_tensor(p) for p in pictures), normalize=True).item()
    assert found.st_lpips == pytest.approx(wanted, rel=1e-4)


def test_output_and_source_are_compared_together_as_each_alone(pan: list[Picture]) -> None:
    pytest.importorskip("stlpips_pytorch")
    both = measure(pan[:1], pan[1:2], pan[2:3])
    assert both.st_lpips == pytest.approx(measure(pan[:1], None, pan[2:3]).st_lpips, rel=1e-4)
    assert both.source_st_lpips == pytest.approx(measure(pan[1:2], None, pan[2:3]).st_lpips, rel=1e-4)
    assert both.st_lpips != pytest.approx(both.source_st_lpips, rel=0.05)


def test_st_lpips_sees_large_pictures_shrunk() -> None:
    pytest.importorskip("stlpips_pytorch")
    seen: list[torch.Size] = []

    def spy(picture: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append(picture.shape)
        return torch.zeros(1)

    run = metrics._Run()
    run._distance("st_lpips", spy, [texture(480, 640)], texture(480, 640))
    run._distance("st_lpips", spy, [texture(100, 640)], texture(100, 640))
    assert seen == [(1, 3, 384, 512), (1, 3, 100, 640)]


def test_missing_networks_are_noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pan: list[Picture]) -> None:
    def missing(network: str) -> None:
        raise EngineUnavailable("ST-LPIPS is not installed.")

    monkeypatch.setattr(metrics, "ShiftTolerantLPIPS", missing)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    found = measure(pan[:2], None, pan[:2])
    assert found.st_lpips is None and found.lpips is None and found.ssim is not None
    assert {"ST-LPIPS is not installed."} < set(found.notes)
    assert any("does not download" in note for note in found.notes)


def test_lpips_reads_the_cached_file_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_network: Callable[[], None]
) -> None:
    """A backbone in the cache is used as it is: equal weights give LPIPS' own result."""
    lpips = pytest.importorskip("lpips")
    torch.manual_seed(0)
    reference = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    weights = {f"features.{name.split('.', 1)[1]}": value for name, value in reference.net.state_dict().items()}
    (tmp_path / "checkpoints").mkdir()
    torch.save(weights, tmp_path / "checkpoints" / metrics._ALEXNET_FILE)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    first, second = texture(64, 64, seed=1), texture(64, 64, seed=2)
    with torch.inference_mode():
        wanted = reference(metrics.as_tensor(first), metrics.as_tensor(second), normalize=True).item()
    assert measure([first], None, [second]).lpips == pytest.approx(wanted, rel=1e-5)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
