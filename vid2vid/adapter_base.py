"""The pretrained model that a bundle's adapters belong to. Importing this module loads no model library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vid2vid.backbones.diffusion.location import check_folder, fingerprint, is_location, parse_location
from vid2vid.errors import InvalidOption, WeightsMismatch

if TYPE_CHECKING:
    from vid2vid.bundle import Bundle


def with_base(
    bundle: Bundle | None, backbone: str | None, prompt: str | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The call's words `backbone`, `prompt` and `options`, completed by a bundle that holds adapters of a model.

    Raises:
        InvalidOption: that model was a folder, which is not there any more.
        WeightsMismatch: another model is there.
    """
    if bundle is None or bundle.adapter is None:
        return {"backbone": backbone, "prompt": prompt, "options": options}
    adapter, given = bundle.adapter, backbone
    backbone = given or adapter.location
    if not is_location(backbone):
        raise InvalidOption(f"backbone={backbone!r}: '{bundle.path.name}' holds adapters of {adapter.location}.")
    if given is None and adapter.revision is None and not Path(adapter.base).is_dir():
        raise InvalidOption(
            f"'{bundle.path.name}' holds adapters of the model in '{adapter.base}', which is not there. Give "
            f"backbone='diffusers:FOLDER' with the folder of that {adapter.pipeline}."
        )
    location = parse_location(backbone)
    if location.folder is not None:
        found = fingerprint(location.folder, check_folder(location.folder))
        if found != adapter.fingerprint:
            raise WeightsMismatch(
                f"'{bundle.path.name}' holds adapters of {adapter.base} ({adapter.fingerprint[:12]}), but "
                f"'{location.folder}' is another model ({found[:12]}). Give the one that the bundle's card names."
            )
    options = {"lora": str(bundle.weights), "control": adapter.control or "none", **options}
    prompt = (adapter.prompt or None) if prompt is None else prompt
    return {"backbone": backbone, "prompt": prompt, "options": options}
