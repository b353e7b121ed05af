"""The compact generator against peers' architectures: random weights, one picture at a time, all timed in one run.

Every round runs each network in turn, so that whatever else the machine does falls on all of them; quick ones run
several times a round, since the slow ones before them empty the caches. The least CPU time of all rounds counts: other
work can only add to it.

    python -m benchmarks.speed [--size 256] [--rounds 12] [--skip "vid2vid composite"]
"""

from __future__ import annotations

import argparse
import gc
import logging
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import save, table
from benchmarks.peers import PEERS
from vid2vid.backbones.generator import CompactGenerator
from vid2vid.backbones.openvino_engine import OpenVinoGenerator
from vid2vid.backbones.texture import OCTAVES
from vid2vid.config import NumberFormat

_LOG = logging.getLogger(__name__)
YARDSTICK: Final = PEERS[0].name
TARGET_RATIO: Final = 8.0
OWN: Final = {"compact, history": (False, True), "compact, history + reference": (True, True)}
"""Our two variants: whether a reference and a history are given; maps and texture always are."""
DEFAULT: Final = "compact, history"
"""The variant that the target is set for: what a task without key frames runs."""
FORMATS: Final[tuple[NumberFormat, ...]] = ("float32", "bfloat16")
MEMORY: Final = {"planar": torch.contiguous_format, "interleaved": torch.channels_last}
BURST_S: Final = 0.2
"""CPU time that a network may use up in one round before the next one's turn."""
PATIENCE_S: Final = 6.0
"""CPU time after which a network sits out further rounds, once it has run twice."""
COLUMNS: Final = [
    "name", "engine", "dtype", "memory", "size", "params_m", "gmacs", "cpu_ms", "cpu_median_ms", "wall_ms", "ratio",
]  # fmt: skip


@dataclass(slots=True)
class Contestant:
    """One network in one setting, and its times so far."""

    name: str
    engine: str
    dtype: str
    memory: str
    size: int
    params_m: float
    gmacs: float
    call: Callable[[], object]
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)

    def burst(self) -> None:
        """Times one picture or as many as fit into the time of a turn."""
        before = sum(self.cpu_s)
        self.run()
        while sum(self.cpu_s) - before + self.cpu_s[-1] < BURST_S:
            self.run()

    def run(self) -> None:
        """Times one picture; on a GPU the wall time waits for it."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.call()
        if self.engine == "cuda":
            torch.cuda.synchronize()
        self.cpu_s.append(time.process_time() - cpu)
        self.wall_s.append(time.perf_counter() - wall)

    @property
    def patient(self) -> bool:
        """Whether it takes part in another round."""
        return len(self.cpu_s) < 3 or sum(self.cpu_s) < PATIENCE_S

    @property
    def cost_s(self) -> float:
        """What ratios are taken of: CPU time, or wall time on a GPU; the first run, which warms up, is left out."""
        return min((self.wall_s if self.engine == "cuda" else self.cpu_s)[1:])


def main() -> int:
    """Times all, prints a table, writes JSON; 1 if the compact generator misses its target on the CPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--skip", nargs="*", default=[], help="names of peers to leave out")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    rows: list[dict[str, Any]] = []
    for dtype in FORMATS:
        contestants = list(_contestants(dtype, given.size, given.threads, given.skip))
        with torch.inference_mode():
            _race(contestants, given.rounds)
        rows += _rows(contestants)
        del contestants
        gc.collect()
    print(table(rows, COLUMNS))
    verdict = _verdict(rows)
    print("\n".join(f"{name}: {ratio:.1f} times as quick as {YARDSTICK}" for name, ratio in verdict.items()))
    path = save(f"speed_{given.size}", {"rounds": given.rounds, "verdict": verdict, "rows": rows})
    _LOG.info("Written: %s", path.name)
    judged = [ratio for name, ratio in verdict.items() if name.startswith(f"{DEFAULT} (")]
    return 0 if min(judged) >= TARGET_RATIO else 1


def _race(contestants: Sequence[Contestant], rounds: int) -> None:
    for number in range(rounds):
        for contestant in contestants:
            if contestant.patient:
                contestant.burst()
        _LOG.info("round %d of %d", number + 1, rounds)


def _contestants(dtype: NumberFormat, size: int, threads: int, skip: Sequence[str]) -> Iterator[Contestant]:
    """Peers and the compact generator in both memory formats, on CUDA where there is one, and under OpenVINO."""
    networks: list[tuple[str, nn.Module, list[Tensor | None], int]] = []
    for peer in PEERS:
        if peer.name not in skip:
            side = peer.native_size or size
            networks.append((peer.name, peer.build(), [torch.rand(1, c, side, side) for c in peer.inputs], side))
    compact = CompactGenerator(3)
    for name, (has_reference, has_history) in OWN.items():
        pictures = [torch.rand(1, 4, size, size) if given else None for given in (has_reference, has_history)]
        texture = torch.randn(1, OCTAVES, size, size)
        networks.append((name, compact, [torch.rand(1, 3, size, size), *pictures, texture], size))
    for name, network, inputs, side in networks:
        gmacs = _gmacs(network, inputs)
        params = sum(p.numel() for p in network.parameters()) / 1e6
        for memory in MEMORY:
            call = _call(network, inputs, dtype, memory, torch.device("cpu"))
            yield Contestant(name, "torch", dtype, memory, side, params, gmacs, call)
        if torch.cuda.is_available():
            call = _call(network, inputs, dtype, "interleaved", torch.device("cuda"))
            yield Contestant(name, "cuda", dtype, "interleaved", side, params, gmacs, call)
        if find_spec("openvino") is not None and (network is compact or name == YARDSTICK):
            call = _openvino_call(network, inputs, dtype, threads)
            yield Contestant(name, "openvino", dtype, "planar", side, params, gmacs, call)


def _gmacs(network: nn.Module, inputs: Sequence[Tensor | None]) -> float:
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.eval()(*inputs)
    return float(counter.get_total_flops()) / 2e9


def _call(
    network: nn.Module, inputs: Sequence[Tensor | None], dtype: NumberFormat, memory: str, device: torch.device
) -> Callable[[], object]:
    """A call of a copy of the network, which holds its weights as asked; peers find their inputs so, too."""
    from copy import deepcopy

    numbers, order = getattr(torch, dtype), MEMORY[memory]
    copy = deepcopy(network).eval().to(device=device, dtype=numbers)
    copy = copy.to(memory_format=order)
    if isinstance(network, CompactGenerator):
        # What the pipeline hands over: planar float32. The time it takes to turn it into anything else counts as ours.
        own = [None if i is None else i.to(device) for i in inputs]
        return lambda: copy(*own)
    placed = [None if i is None else i.to(device=device, dtype=numbers).contiguous(memory_format=order) for i in inputs]
    return lambda: copy(*placed)


def _openvino_call(
    network: nn.Module, inputs: Sequence[Tensor | None], dtype: NumberFormat, threads: int
) -> Callable[[], object]:
    maps = inputs[0]
    assert maps is not None
    if isinstance(network, CompactGenerator):
        height, width = maps.shape[-2:]
        engine = OpenVinoGenerator(network, height=height, width=width, dtype=dtype, threads=threads)
        return lambda: engine(maps, *inputs[1:])
    import openvino

    with torch.no_grad():
        graph = openvino.convert_model(torch.export.export(network.eval(), (maps,)))
    precision = {"float32": "f32", "bfloat16": "bf16"}[dtype]
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(graph, "CPU", settings)
    picture = maps.numpy()
    return lambda: compiled([picture], share_inputs=True)


def _rows(contestants: Sequence[Contestant]) -> list[dict[str, Any]]:
    """One row a contestant; ratios are to the yardstick in the same engine, number format and memory format."""
    yard = {(c.engine, c.memory): c.cost_s for c in contestants if c.name == YARDSTICK}
    rows = []
    for c in contestants:
        row: dict[str, Any] = {name: getattr(c, name) for name in COLUMNS[:7]}
        row["cpu_ms"], row["cpu_median_ms"] = 1e3 * min(c.cpu_s[1:]), 1e3 * statistics.median(c.cpu_s[1:])
        row["wall_ms"], row["runs"] = 1e3 * min(c.wall_s[1:]), len(c.cpu_s) - 1
        row["ratio"] = yard[c.engine, c.memory] / c.cost_s if (c.engine, c.memory) in yard else None
        rows.append(row)
    return rows


def _verdict(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The yardstick's least CPU time in torch over ours, each in the memory format that suits it best."""
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        if row["engine"] == "torch":
            key = (row["name"], row["dtype"])
            best[key] = min(best.get(key, float("inf")), row["cpu_ms"])
    return {f"{name} ({dtype})": best[YARDSTICK, dtype] / best[name, dtype] for name in OWN for dtype in FORMATS}


if __name__ == "__main__":
    raise SystemExit(main())
