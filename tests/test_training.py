"""Teaching a generator: it learns, continues to the same bits, and never saves what is broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.training_runs import ALL_LOSSES, LOSSES, Examiner, Pictures, bits, config, lines, net, same
from vid2vid import processes, training
from vid2vid.backbones.texture import make_tile
from vid2vid.backbones.weights import load_weights
from vid2vid.closed_loop import dealt
from vid2vid.errors import EmptyInput, EngineUnavailable, InvalidOption, NonFiniteOutput
from vid2vid.losses import TextureLoss
from vid2vid.training import Window, fit


def test_it_learns(tmp_path: Path) -> None:
    fitted = fit(net(), Pictures(), config(300), tmp_path)
    logged = [line["l1"] for line in lines(tmp_path / "log.jsonl")]
    assert len(logged) == 3
    assert logged[-1] < 0.5 * logged[0]
    assert (fitted.steps, fitted.kept_step, fitted.stopped, fitted.scores) == (300, 300, "steps", ())
    assert set(load_file(fitted.weights)) == set(net().state_dict())
    load_weights(net(1), fitted.weights)


@pytest.mark.parametrize("recurrent", [True, False])
@pytest.mark.parametrize("textured", [True, False])
def test_what_does_not_come_in_is_not_learned_from(tmp_path: Path, recurrent: bool, textured: bool) -> None:
    trained = net()
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    fit(trained, Pictures(), config(4, recurrent=recurrent, textured=textured, losses=ALL_LOSSES), tmp_path)
    after = trained.state_dict()
    # Only the stem of the history is used by nothing else; the strength of texture learns from its own loss alone.
    assert torch.equal(before["stem_history.weight"], after["stem_history.weight"]) is not recurrent
    assert torch.equal(before["local.weight"][:3], after["local.weight"][:3]) is not textured


@pytest.mark.parametrize(
    "changes",
    [
        {"losses": ALL_LOSSES},
        {"losses": {**LOSSES, "perceptual": 1.0}, "perceptual_every": 2, "perceptual_crop": 32, "precision": "bf16"},
        {"accumulate": 3, "schedule": "one_cycle"},
    ],
    ids=["all losses", "perceptual", "accumulated"],
)
def test_a_broken_off_run_continues_to_the_same_bits(tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = config(7, save_every_s=0.0, **changes)
    fit(net(), Pictures(), settings, tmp_path / "whole")
    broken = Pictures(stop_at=4 * settings.accumulate + settings.accumulate // 2)
    with pytest.raises(KeyboardInterrupt):
        fit(net(), broken, settings, tmp_path / "parts")
    rest = Pictures()
    fit(net(seed=5), rest, settings, tmp_path / "parts")
    # The last complete checkpoint is the one before step 4 or that after, as the break came before or within a step.
    assert rest.given[0] in (3 * settings.accumulate, 4 * settings.accumulate)
    assert bits(tmp_path / "whole") == bits(tmp_path / "parts")
    whole, parts = (tmp_path / name / "weights.safetensors" for name in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()


def test_a_continued_log_has_no_line_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_LOG_EVERY", 3)
    settings = config(12, save_every_s=0.0, losses={"l1": 1.0})
    fit(net(), Pictures(), settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(net(), Pictures(stop_at=8), settings, tmp_path / "parts")
    log = tmp_path / "parts" / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 9, "l1": 1.0}\n{"step": 1')
    fit(net(), Pictures(), settings, tmp_path / "parts")
    assert len(lines(log)) == 4
    assert lines(tmp_path / "whole" / "log.jsonl") == lines(log)


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
import training_runs as t
from vid2vid import checkpoint, training

folder, moment, count = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
calls = 0

def deadly(function):
    def wrapper(*arguments, **named):
        global calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return wrapper

if moment == "fsync":
    os.fsync = deadly(os.fsync)
elif moment == "rename":
    Path.rename = deadly(Path.rename)
elif moment == "prune":
    checkpoint._prune = deadly(checkpoint._prune)
elif moment == "window":
    t.Pictures.window = deadly(t.Pictures.window)
training.fit(t.net(), t.Pictures(), t.config(8, save_every_s=0.0, losses=t.ALL_LOSSES), folder)
"""


@pytest.mark.robustness(60)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "count"),
    [("fsync", 2), ("fsync", 25), ("fsync", 40), ("rename", 1), ("rename", 3), ("prune", 4), ("window", 6)],
)
def test_a_killed_run_continues_to_the_same_bits(tmp_path: Path, moment: str, count: int) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        settings = config(8, save_every_s=0.0, losses=ALL_LOSSES)
        fit(net(), Pictures(), settings, tmp_path / "whole")
        command = [
            sys.executable,
            "-c",
            KILLED,
            str(Path(__file__).parent),
            str(tmp_path / "parts"),
            moment,
            str(count),
        ]
        done = subprocess.run(command, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        fit(net(), Pictures(), settings, tmp_path / "parts")
        assert bits(tmp_path / "whole") == bits(tmp_path / "parts")
    finally:
        torch.set_num_threads(threads)


def test_a_finished_run_is_not_taught_again(tmp_path: Path) -> None:
    first = fit(net(), Pictures(), config(4), tmp_path, judge=Examiner(0.5))
    again = Pictures()
    second = fit(net(3), again, config(4, judge_every_s=9.0), tmp_path, judge=Examiner(0.1))
    assert again.given == []
    assert (second.steps, second.stopped, second.scores) == (4, "steps", first.scores)
    longer = Pictures()
    assert fit(net(3), longer, config(6), tmp_path).steps == 6
    assert longer.given[0] == 4


@pytest.mark.robustness(60)
def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    fit(net(), Pictures(), config(2), tmp_path)
    content = (tmp_path / "weights.safetensors").read_bytes()
    with pytest.raises(InvalidOption, match=r"learning_rate was 0\.002, now 0\.003") as raised:
        fit(net(), Pictures(), config(9, learning_rate=3e-3, save_every_s=1.0), tmp_path)
    assert "save_every_s" not in str(raised.value) and "steps" not in str(raised.value)
    with pytest.raises(InvalidOption, match="losses was"):
        fit(net(), Pictures(), config(9, losses={"l1": 1.0}), tmp_path)
    with pytest.raises(InvalidOption, match=r"stem_maps.weight was \[8, 48, 3, 3\], now \[16, 48, 3, 3\]"):
        fit(net(width=16), Pictures(), config(9), tmp_path)
    with pytest.raises(InvalidOption, match="same batch and crop"):
        fit(net(), Pictures(slots=3), config(9), tmp_path)
    assert (tmp_path / "weights.safetensors").read_bytes() == content


def test_the_averaged_weights_end_in_the_net(tmp_path: Path) -> None:
    trained = net()
    fitted = fit(trained, Pictures(), config(6), tmp_path)
    assert same(trained.state_dict(), load_file(fitted.weights))


@pytest.mark.robustness(60)
def test_a_loss_that_is_not_finite_stops_before_saving(tmp_path: Path) -> None:
    fit(net(), Pictures(), config(3), tmp_path)
    before = (tmp_path / "weights.safetensors").read_bytes()
    with pytest.raises(NonFiniteOutput, match="step 4"):
        fit(net(), Pictures(poison_at=4), config(9), tmp_path)
    assert (tmp_path / "weights.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-3"]


def test_accumulated_windows_are_one_large_batch(tmp_path: Path) -> None:
    """Two windows of one slot each, without a loop between them, teach what one of two slots does."""

    class Halves(Pictures):
        def start(self, step: int, rank: int = 0, world: int = 1) -> Iterator[Window]:
            while True:
                yield self.window(step // 2, slice(step % 2, step % 2 + 1))
                step += 1

    settings = config(5, recurrent=False, textured=False, losses={"l1": 1.0, "gradient": 0.5})
    whole, halves = net(), net()
    fit(whole, Pictures(), settings, tmp_path / "whole")
    fit(halves, Halves(), replace(settings, accumulate=2), tmp_path / "halves")
    first, second, start = (
        torch.cat([value.flatten() for value in n.state_dict().values()]) for n in (whole, halves, net())
    )
    # Not closer: where a gradient is next to nothing, Adam makes much of how it was rounded.
    assert (first - second).norm() < 0.01 * (first - start).norm()


def test_only_the_newest_checkpoints_stay(tmp_path: Path) -> None:
    fit(net(), Pictures(), config(5, save_every_s=0.0), tmp_path)
    assert len(list(tmp_path.glob("checkpoint-*"))) == 2
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("checkpoint-")) == [
        "weights.safetensors"
    ]


def test_windows_must_not_end(tmp_path: Path) -> None:
    class Three(Pictures):
        def start(self, step: int, rank: int = 0, world: int = 1) -> Iterator[Window]:
            yield from (self.window(number) for number in range(step, 3))

    with pytest.raises(EmptyInput, match="step 3"):
        fit(net(), Three(), config(9), tmp_path)


def test_crops_need_not_be_square(tmp_path: Path) -> None:
    losses = {"l1": 1.0, "perceptual": 1.0}
    fitted = fit(net(), Pictures(side=96), config(2, losses=losses, perceptual_crop=64), tmp_path)
    assert fitted.steps == 2


def test_precision_follows_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for native, precision in (("bfloat16", "bf16"), ("float32", "no")):
        monkeypatch.setattr(processes, "default_dtype", lambda device, native=native: native)
        accelerator = processes.start(config(1, precision=None), tmp_path)
        assert accelerator.mixed_precision == precision and accelerator.device.type == "cpu"


def test_missing_engines_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match="pip install tensorboard"):
        fit(net(), Pictures(), config(1, tracker=True), tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineUnavailable, match="no CUDA"):
        fit(net(), Pictures(), config(1, device="cuda"), tmp_path)


def test_scalars_are_tracked(tmp_path: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    fit(net(), Pictures(), config(20, tracker=True), tmp_path, judge=Examiner(0.5))
    events = reading.EventAccumulator(str(next((tmp_path / "tracker").rglob("events*")).parent))
    events.Reload()
    assert {"loss/l1", "learning_rate", "score/st_lpips"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss/l1")] == [10, 20]


def test_slots_are_dealt_anew() -> None:
    slots = torch.arange(5.0)[:, None]
    parts = [{"output": slots[rank::2], "random": torch.zeros(1)} for rank in range(2)]
    assert dealt(parts, 0, 1)["output"].flatten().tolist() == [0, 1, 2, 3, 4]
    assert dealt(parts, 2, 3)["output"].flatten().tolist() == [2]
    assert "random" not in dealt(parts, 0, 1)


def test_texture_loss_is_least_at_the_true_strength() -> None:
    """Noise of a known octave and strength is missing: the loss finds that strength, not more and not less."""
    tile = make_tile()[:, :-1, :-1]
    clean = torch.full((1, 3, 256, 256), 0.5)
    target = clean + 0.04 * tile[1]
    loss = TextureLoss(tile)

    def at(amplitude: float, octave: int = 1) -> float:
        maps = torch.zeros(1, 3, 256, 256)
        maps[:, octave] = amplitude
        return float(loss(clean, maps, target))

    assert at(0.04) < 0.5 * min(at(0.0), at(0.02), at(0.07))
    assert at(0.04) < at(0.04, octave=0) and at(0.04) < at(0.04, octave=2)
