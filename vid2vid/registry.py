"""Finds installed tasks through the entry-point group `vid2vid.tasks`. Listing tasks loads no model library.

A plug-in that cannot be used raises `BrokenPlugin`, which names its distribution; it never disappears in silence, and
it never stands in the way of another task that is asked for by name.
"""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from vid2vid.errors import BrokenPlugin, DuplicateTask, UnknownTask
from vid2vid.options import describe_options, parse_options, suggestion
from vid2vid.task import Task
from vid2vid.types import TaskInfo

__all__ = ["get_task", "list_tasks", "parse_options", "task_names", "weights_path"]

GROUP = "vid2vid.tasks"
_NEEDS = frozenset({"reference", "prompt", "consent"})


@dataclass(frozen=True, slots=True)
class _Plugin:
    """One line of one distribution's entry-point table."""

    name: str
    point: EntryPoint
    owner: str
    version: str

    def broken(self, cause: str) -> BrokenPlugin:
        """The error that tells whose fault it is and what to do."""
        return BrokenPlugin(
            f"Task {self.name!r} of {self.owner} {self.version} ({self.point.value}) cannot be used: {cause} "
            f"Repair or remove it: pip uninstall {self.owner}"
        )


def get_task(name: str) -> Task[Any]:
    """Gives the one shared instance of an installed task.

    Args:
        name: as `task_names()` lists it.

    Raises:
        UnknownTask: if no distribution declares it; the message suggests the nearest name and lists all.
        DuplicateTask: if two distributions declare it.
        BrokenPlugin: if it cannot be imported, is no `Task`, or calls itself something else.
    """
    return _load(_only(name, _plugins()))


def list_tasks() -> tuple[TaskInfo, ...]:
    """Describes every installed task, in the order of their names, without loading a model library.

    Raises:
        DuplicateTask, BrokenPlugin: if any installed task cannot be used; `get_task()` still gives the others.
    """
    plugins = _plugins()
    return tuple(_describe(_only(name, plugins)) for name in sorted({plugin.name for plugin in plugins}))


def task_names() -> tuple[str, ...]:
    """Names of the installed tasks in order, as declared; imports none of them."""
    return tuple(sorted({plugin.name for plugin in _plugins()}))


def weights_path(task: Task[Any]) -> Path | None:
    """Where the weights that come with a task lie: beside the module of its class, if the file is there."""
    if task.backbone.weights is None:
        return None
    try:
        folder = Path(inspect.getfile(type(task))).parent
    except (TypeError, OSError):  # a class typed into a shell has no file
        return None
    path = folder / task.backbone.weights
    return path if path.is_file() else None


def _plugins() -> tuple[_Plugin, ...]:
    """Every declared task. A distribution seen twice on the path counts once, as `entry_points` reads it."""
    return tuple(
        _Plugin(
            point.name,
            point,
            point.dist.name if point.dist else "unknown",
            point.dist.version if point.dist else "unknown",
        )
        for point in entry_points(group=GROUP)
    )


def _only(name: str, plugins: tuple[_Plugin, ...]) -> _Plugin:
    """The plug-in of this name."""
    found = [plugin for plugin in plugins if plugin.name == name]
    if not found:
        names = sorted({plugin.name for plugin in plugins})
        installed = f"Installed tasks: {', '.join(names)}." if names else "No task is installed: pip install vid2vid."
        raise UnknownTask(f"No task named {name!r}.{suggestion(name, names)} {installed}")
    if len(found) > 1:
        owners = " and ".join(f"{plugin.owner} {plugin.version} ({plugin.point.value})" for plugin in found)
        raise DuplicateTask(f"Task {name!r} is installed twice, by {owners}. Uninstall one of them.")
    return found[0]


def _load(plugin: _Plugin) -> Task[Any]:
    """Imports a plug-in and holds it to the contract."""
    try:
        task = plugin.point.load()
    except (Exception, SystemExit) as error:  # someone else's module may raise anything while it is imported
        raise plugin.broken(f"its import raised {type(error).__name__}: {error}.") from error
    if not isinstance(task, Task):
        hint = " (the class was declared; declare an instance)" if isinstance(task, type) else ""
        raise plugin.broken(f"it is a {type(task).__name__}, not an instance of vid2vid.Task{hint}.")
    fault = _fault(task, plugin.name)
    if fault:
        raise plugin.broken(fault)
    return task


def _fault(task: Task[Any], name: str) -> str:
    """What breaks the contract of a task's class variables, or nothing."""
    missing = [attribute for attribute in ("name", "summary", "channels") if not hasattr(task, attribute)]
    if missing:
        return f"it lacks {', '.join(missing)}."
    if task.name != name:
        return f"it is declared as {name!r} but calls itself {task.name!r}; the two must be equal."
    if not set(task.needs) <= _NEEDS:
        return f"needs={sorted(task.needs)} may hold only {', '.join(sorted(_NEEDS))}."
    if not (isinstance(task.Options, type) and dataclasses.is_dataclass(task.Options)):
        return "its Options is no dataclass."
    bare = [field.name for field in dataclasses.fields(task.Options) if not _has_default(field)]
    if bare:
        return f"Options.{bare[0]} has no default value."
    try:
        describe_options(task.Options)
    except (TypeError, NameError) as error:
        return f"{error}."
    return ""


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _describe(plugin: _Plugin) -> TaskInfo:
    task = _load(plugin)
    return TaskInfo(
        name=task.name,
        summary=task.summary,
        needs=tuple(sorted(task.needs)),
        options=describe_options(task.Options),
        backbone=task.backbone.name,
        bundled=weights_path(task) is not None,
        owner=plugin.owner,
    )
