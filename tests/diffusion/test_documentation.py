"""The tables of docs/diffusion.md say what the families and the tasks say themselves."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from vid2vid.backbones.diffusion.choosing import DERIVED
from vid2vid.backbones.diffusion.family import Family, family_names, get_family
from vid2vid.backbones.diffusion.memory import family_needs
from vid2vid.backbones.diffusion.options import DiffusionOptions
from vid2vid.registry import get_task, task_names

PAGE = (Path(__file__).parents[2] / "docs" / "diffusion.md").read_text(encoding="utf-8")
SHOWN = ("video", "references", "mask", "plate", "pose", "line_art", "depth", "face", "known")


def takes_row(family: Family) -> str:
    cells = ["yes" if kind in family.takes else "-" for kind in SHOWN]
    return f"| {family.name} | {' | '.join(cells)} |"


def settings_row(family: Family) -> str:
    usual, grid = family.recommended, family.grid
    lengths = "any" if grid.step == 1 else f"{grid.step}k+{grid.offset}"
    whole, offloaded = (round(value / 1000, 1) for value in family_needs(family))
    return (
        f"| {family.name} | {grid.window} / {grid.overlap} | {lengths} | {family.multiple_of} | "
        f"{usual.width}x{usual.height} | {usual.steps} | {usual.guidance:g} | {usual.strength:g} | "
        f"{whole} | {offloaded} |"
    )


def leading(family: Family, own: set[str]) -> str:
    """The control clip that leads with `control="auto"`."""
    kinds = [kind for kind in family.control_kinds if kind in own and kind in family.takes]
    kinds += [kind for kind in family.control_kinds if kind in DERIVED]
    return kinds[0] if kinds else "-"


def task_row(family: Family) -> str:
    own = [set(get_task(name).controls) for name in task_names()]
    return f"| {family.name} | {' | '.join(leading(family, kinds) for kinds in own)} |"


def test_the_tables_are_those_of_the_families() -> None:
    for family in map(get_family, family_names()):
        for row in (takes_row(family), settings_row(family), task_row(family)):
            assert row in PAGE, row
    assert f"| family | {' | '.join(task_names())} |" in PAGE


def test_every_option_and_every_pipeline_is_named() -> None:
    for field in fields(DiffusionOptions):
        assert f"`{field.name}`" in PAGE, field.name
    for family in map(get_family, family_names()):
        for pipeline in family.pipelines:
            assert f"`{pipeline}`" in PAGE, pipeline
