"""What a render tells of itself: the facts for its manifest, gathered from the checked call."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from vid2vid.hashing import file_hash
from vid2vid.provenance import Facts, Material
from vid2vid.references import reference_hash
from vid2vid.types import Reference

if TYPE_CHECKING:
    from vid2vid.render import Plan

VERSIONED: Final = ("vid2vid", "torch", "numpy", "av", "opencv-python-headless")


def facts_of(plan: Plan, source_sha256: str | None = None) -> Facts:
    """Gathers what is known before the first frame.

    Args:
        plan: the checked call.
        source_sha256: hash of the source's file, where it is known already; None computes it.
    """
    return Facts(
        task=plan.task.name,
        summary=plan.task.summary,
        source_type=plan.task.source_type,
        sources=(_source(plan, source_sha256),),
        references=_references(plan),
        weights={} if plan.weights is None else {plan.weights.name: file_hash(plan.weights)},
        backbone=plan.pretrained.backbone if plan.pretrained else plan.backbone.name,
        bundle=plan.bundle.path.name if plan.bundle else None,
        consent=plan.consent.as_public() if plan.consent else None,
        options=asdict(plan.request.options),
        prompt=plan.request.prompt,
        seed=plan.config.seed,
        strength=plan.config.strength,
        versions={name: version(name) for name in VERSIONED},
    )


def _source(plan: Plan, sha256: str | None) -> Material:
    path = plan.request.info.path
    if path is None:
        return Material("frames in memory", sha256)
    if not path.is_file():
        return Material(path.name, sha256)
    return Material(path.name, sha256 or file_hash(path), path)


def _references(plan: Plan) -> tuple[Material, ...]:
    """What was shown in the call, else the pictures that the bundle brought."""
    shown: Any = plan.request.shown or [Reference((key.look,)) for key in plan.request.keys]
    return tuple(
        Material(
            one.path.name if one.path else f"reference {number}",
            reference_hash(one),
            one.path if one.path is not None and one.path.is_file() else None,
            one.name,
        )
        for number, one in enumerate(shown)
    )
