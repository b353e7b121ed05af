"""The card of a trained bundle: a page of Markdown that says what it is, from what, how good, and how to use it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_UNTOUCHED = "source_"
_LISTED = 20
_LABELS: Mapping[str, str] = {
    "st_lpips": "ST-LPIPS to the truth (lower is better)",
    "lpips": "LPIPS to the truth (lower is better)",
    "psnr_db": "PSNR to the truth, dB (higher is better)",
    "ssim": "SSIM to the truth (higher is better)",
    "warp_error": "warp error (lower is steadier)",
    "sharpness": "sharpness (variance of the Laplacian)",
    "loss": "held-out loss (lower is better)",
}
_BASIC_LIMITS = ("It knows what its examples show. Material unlike them was not measured and may look wrong.",)


def write_card(
    name: str,
    described: Mapping[str, Any],
    *,
    summary: str = "",
    limits: Sequence[str] = (),
    measured: str = "held out",
) -> str:
    """Gives the card of a bundle.

    Args:
        name: of the bundle's folder.
        described: the content of its `bundle.json`.
        summary: what the look does, in a sentence.
        limits: what it does not do, beyond what holds for every bundle.
        measured: what the numbers were taken on.
    """
    keys = len(described["keys"])
    parts = {
        "How to render it": _usage(name),
        "Numbers": _numbers(described["metrics"], described["scores"], measured),
        "Data": _data(described["data"], keys),
        "Recipe": _facts({**described["recipe"], **_shape(described["backbone"])}),
        "Limits": "\n".join(f"- {_flat(limit)}" for limit in (*limits, *_key_limits(keys), *_BASIC_LIMITS)),
        "Made with": _facts(described["versions"]),
    }
    what = _flat(summary) or f"A look learned by the task `{described['task']}`."
    head = f"# {_flat(name)}\n\n{what}\n\nTask `{described['task']}`, weights `{described['weights_sha256'][:16]}`.\n"
    return head + "".join(f"\n## {title}\n\n{body}\n" for title, body in parts.items() if body)


def _usage(name: str) -> str:
    quoted = "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return (
        f"```python\nimport vid2vid\n\nvid2vid.translate('film.mp4', task={quoted})\n```\n\n"
        "The task is the path of this folder. Everything in it is checked when it is loaded; nothing in it is run."
    )


def _numbers(metrics: Mapping[str, Any], scores: Sequence[Mapping[str, Any]], measured: str) -> str:
    """A table of what was measured, beside the same of the untouched source: the price of doing nothing."""
    rows = [
        f"| {_LABELS.get(name, _flat(name))} | {_shown(value)} | {_shown(metrics.get(_UNTOUCHED + name))} |"
        for name, value in metrics.items()
        if isinstance(value, int | float) and not (name.startswith(_UNTOUCHED) and name != _UNTOUCHED)
    ]
    if not rows:
        return "Nothing was measured."
    table = "\n".join([f"| {measured} | this bundle | untouched source |", "|---|---|---|", *rows])
    return table + (f"\n\nScored {len(scores)} times while it was trained; `bundle.json` has them." if scores else "")


def _data(data: Sequence[Mapping[str, str]], keys: int) -> str:
    lines = [f"{keys} key frame(s), kept in `keys/`."] if keys else []
    if data:
        lines.append(f"{len(data)} file(s), with their SHA-256:\n")
        lines += [f"- {_flat(item['name'])}: `{item['sha256'][:16]}`" for item in data[:_LISTED]]
        lines += [f"- and {len(data) - _LISTED} more, in `bundle.json`"] if len(data) > _LISTED else []
    return "\n".join(lines)


def _key_limits(keys: int) -> tuple[str, ...]:
    if not keys:
        return ()
    return (f"It keeps {keys} key frame(s): what none of its examples shows has to be guessed.",)


def _shape(backbone: Mapping[str, Any]) -> dict[str, Any]:
    if backbone["name"] == "diffusers":  # its shape is the base model's, which the recipe names
        return {}
    return {"generator": ", ".join(f"{name} {value}" for name, value in backbone.items() if value is not None)}


def _facts(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {_flat(name)}: {_shown(value)}" for name, value in facts.items() if value is not None)


def _shown(value: Any) -> str:
    if value is None:
        return "not measured"
    return f"{value:.4g}" if isinstance(value, float) else _flat(str(value))


def _flat(text: str) -> str:
    """Text on one line in which nothing is read as markup."""
    return re.sub(r"([\\`|<>\[\]])", r"\\\1", " ".join(text.split()))
