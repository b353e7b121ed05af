"""Finds out what the user means by "examples" from how files lie, and checks each of them before training starts.

film_a/source.mp4  film_a/target.mp4   one folder for each paired clip; source/ and target/ may be folders of frames
source/0001.png    target/0001.png     paired pictures (or clips) of equal names
0001.png  0090.png  with clip=         painted key frames of that clip
a.mp4  b/c.mov  d.jpg                  the target alone, for tasks that learn from that; a photograph is one frame
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vid2vid.data.inspection import Inspector, content_hash
from vid2vid.errors import EmptyInput, InputNotFound, InvalidExamples
from vid2vid.io.containers import IMAGE_SUFFIXES

Kind = Literal["paired clips", "paired pictures", "key frames", "clips"]

VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".asf", ".flv",
    ".ogv", ".gif", ".y4m", ".mxf", ".3gp",
})  # fmt: skip
"""What counts as a clip within a folder; a file that is named itself may be called anything."""
MAX_KEY_FRAMES = 8
_MEDIA = IMAGE_SUFFIXES | VIDEO_SUFFIXES
_SIDES = ("source", "target")
_MAX_DEPTH = 4
_LISTED = 20


@dataclass(frozen=True, slots=True)
class ClipPair:
    """Two files, or two folders of frames, that show the same before and after."""

    source: Path
    target: Path
    name: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an example cannot be used."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Examples:
    """What there is to learn from; of `pairs`, `keys` and `clips` only what `kind` says is filled."""

    kind: Kind
    pairs: tuple[ClipPair, ...] = ()
    keys: tuple[Path, ...] = ()
    """Painted key frames."""
    clip: Path | None = None
    """The clip that key frames or paired pictures belong to."""
    clips: tuple[Path, ...] = ()
    """Clips and photographs of the target alone."""
    faults: tuple[Fault, ...] = ()
    """What was left out, and why."""

    @property
    def names(self) -> Mapping[Path, str]:
        """Key frames and clips -> the name that a fault gives them: the file's own where it is the only one."""
        paths = (*self.keys, *self.clips)
        seen = Counter(path.name for path in paths)
        return {path: path.name if seen[path.name] == 1 else str(path) for path in paths}

    def __len__(self) -> int:
        return len(self.pairs) + len(self.keys) + len(self.clips)


Given = str | os.PathLike[str]


def find_examples(
    examples: Given | Sequence[Given], *, supervision: Literal["paired", "self"], clip: Given | None = None
) -> Examples:
    """Finds the examples; opens none of them.

    Args:
        examples: a folder or file, or several of them.
        supervision: whether the task learns from pairs, or from footage of the target too.
        clip: the clip that painted key frames belong to.

    Returns:
        What was found, in the order of names; `faults` has those without a partner.

    Raises:
        InputNotFound: a path is not there.
        EmptyInput: no picture or clip is there.
        InvalidExamples: what is there cannot teach this task; the message says what could.
    """
    roots = _roots(examples)
    film = None if clip is None else _there(clip)
    pairs, faults = _find_pairs(roots)
    if pairs:
        pictures = all(_is_picture(pair.source) and _is_picture(pair.target) for pair in pairs)
        return Examples("paired pictures" if pictures else "paired clips", pairs=pairs, clip=film, faults=faults)
    if film is not None and not faults:
        return _key_frames(roots, film)
    if supervision == "self":
        return Examples("clips", clips=_all_media(roots, _MAX_DEPTH))
    if faults:
        raise _invalid(faults, f"{_shown(roots)} holds no pair")
    count = len(_all_media(roots, _MAX_DEPTH))
    raise InvalidExamples(
        f"{_shown(roots)} holds {count} file(s) and no pairs, and this task learns from pairs. Give folders with "
        "source and target in each, source/ and target/ with equal names, or pictures painted over frames of a clip "
        "together with clip=."
    )


def check_examples(examples: Examples, *, min_frames: int = 2, strict: bool = False) -> Examples:
    """Leaves only examples that can be used; what was left out is in `faults`.

    Args:
        examples: as found.
        min_frames: fewest frames of a clip; photographs count as they are.
        strict: whether one fault is enough to refuse them all.

    Raises:
        InvalidExamples: none remains, or `strict` is on and there is a fault; lists the faults.
        InputError: the clip that key frames belong to cannot be read.
    """
    faults = validate(examples, min_frames=min_frames)
    bad = {fault.name for fault in faults}
    names = examples.names
    good = Examples(
        examples.kind,
        pairs=tuple(pair for pair in examples.pairs if pair.name not in bad),
        keys=tuple(path for path in examples.keys if names[path] not in bad),
        clip=examples.clip,
        clips=tuple(path for path in examples.clips if names[path] not in bad),
        faults=faults,
    )
    if not len(good):
        raise _invalid(faults, f"None of the {len(examples)} example(s) can be used")
    if strict and faults:
        raise _invalid(faults, f"{len(faults)} example(s) cannot be used and strict is on")
    return good


def validate(examples: Examples, *, min_frames: int = 2) -> tuple[Fault, ...]:
    """Lists every example that cannot be used, with its first reason: mismatched, duplicate, short, small, unreadable.

    Clips are decoded, as far as the first 1,500 frames.

    Args:
        examples: as found.
        min_frames: fewest frames of a clip; photographs count as they are.

    Raises:
        InputError: the clip that key frames belong to cannot be read.
    """
    inspector = Inspector(min_frames)
    size = None if examples.clip is None else inspector.size(examples.clip)
    found = [(pair.name, inspector.fault_of_pair(pair.source, pair.target, pair.name)) for pair in examples.pairs]
    found += [(name, inspector.fault_of(path, name, size)) for path, name in examples.names.items()]
    return examples.faults + tuple(Fault(name, reason) for name, reason in found if reason is not None)


def content_hashes(examples: Examples) -> Mapping[str, str]:
    """Name of every file or folder of frames -> SHA-256 of its content, for the record of what was learned from."""
    hashes = {f"{pair.name}/{side}": content_hash(getattr(pair, side)) for pair in examples.pairs for side in _SIDES}
    hashes |= {name: content_hash(path) for path, name in examples.names.items()}
    return hashes if examples.clip is None else {**hashes, f"clip {examples.clip.name}": content_hash(examples.clip)}


def _roots(examples: Given | Sequence[Given]) -> tuple[Path, ...]:
    given = (examples,) if isinstance(examples, str | os.PathLike) else tuple(examples)
    if not given:
        raise EmptyInput("No examples were given. Give a folder, or a list of files.")
    return tuple(_there(one) for one in given)


def _there(given: Given) -> Path:
    path = Path(given).absolute()
    if not path.exists():
        raise InputNotFound(f"There is nothing at '{given}'. Check the path.")
    return path


def _shown(roots: Sequence[Path]) -> str:
    return f"'{roots[0]}'" if len(roots) == 1 else f"The list of {len(roots)} paths"


def _key_frames(roots: Sequence[Path], clip: Path) -> Examples:
    media = [path for path in _all_media(roots, depth=1) if path != clip]
    films = [path for path in media if path.suffix.lower() in VIDEO_SUFFIXES]
    if films:
        raise InvalidExamples(
            f"With clip=, examples are pictures painted over frames of that clip; '{films[0]}' is none. Take it out."
        )
    if len(media) > MAX_KEY_FRAMES:
        raise InvalidExamples(
            f"{_shown(roots)} holds {len(media)} pictures; 1 to {MAX_KEY_FRAMES} key frames can be used. Choose those "
            "that differ most, or lay them as pairs: source/ with frames of the clip, target/ with the paintings."
        )
    return Examples("key frames", keys=tuple(media), clip=clip)


def _all_media(roots: Sequence[Path], depth: int) -> tuple[Path, ...]:
    media = tuple(dict.fromkeys(path for root in roots for path in _media(root, depth)))
    if not media:
        raise EmptyInput(f"{_shown(roots)} holds no pictures or clips; looked for {', '.join(sorted(_MEDIA))}.")
    return media


def _media(root: Path, depth: int) -> Iterator[Path]:
    """Pictures and clips in a folder, those of its own before those of its folders; a file is taken as it is."""
    if root.is_file():
        yield root
        return
    entries = _entries(root)
    yield from (path for path in entries if path.is_file() and path.suffix.lower() in _MEDIA)
    if depth > 1:
        for folder in entries:
            if folder.is_dir() and not folder.is_symlink():
                yield from _media(folder, depth - 1)


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, in the order of names, hidden things left out."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputNotFound(f"'{folder}' cannot be read ({error}). Check its permissions.") from error


def _find_pairs(roots: Sequence[Path]) -> tuple[tuple[ClipPair, ...], tuple[Fault, ...]]:
    """Every pair in the roots and everything that lacks a partner; both empty where nothing is laid out in pairs."""
    pairs: list[ClipPair] = []
    faults: list[Fault] = []
    for root in roots:
        if not root.is_dir():
            continue
        prefix = "" if len(roots) == 1 else f"{root.name}/"
        sides = _sides(root)
        if all(len(sides[side]) == 1 and sides[side][0].is_dir() for side in _SIDES):
            found = _by_name(sides["source"][0], sides["target"][0], prefix)
        elif any(sides.values()):
            found = _in_folders([root], "")
        else:
            folders = [path for path in _entries(root) if path.is_dir()]
            found = _in_folders(folders, prefix) if any(any(_sides(f).values()) for f in folders) else ([], [])
        pairs += found[0]
        faults += found[1]
    counted = Counter(pair.name for pair in pairs)
    named = (pair if counted[pair.name] == 1 else replace(pair, name=str(pair.source)) for pair in pairs)
    return tuple(named), tuple(faults)


def _sides(folder: Path) -> Mapping[str, Sequence[Path]]:
    """What in a folder is called source and what target: folders, clips and pictures."""
    entries = [path for path in _entries(folder) if path.is_dir() or path.suffix.lower() in _MEDIA]
    return {side: [path for path in entries if _stem(path) == side] for side in _SIDES}


def _stem(path: Path) -> str:
    return path.name.casefold() if path.is_dir() else path.stem.casefold()


def _in_folders(folders: Sequence[Path], prefix: str) -> tuple[list[ClipPair], list[Fault]]:
    """One pair from each folder."""
    pairs, faults = [], []
    for folder in folders:
        name, sides = prefix + folder.name, _sides(folder)
        counts = {side: len(found) for side, found in sides.items()}
        if set(counts.values()) == {1}:
            pairs.append(ClipPair(sides["source"][0], sides["target"][0], name))
            continue
        missing = " and ".join(side for side, count in counts.items() if count == 0)
        several = " and ".join(side for side, count in counts.items() if count > 1)
        faults.append(Fault(name, f"has no {missing}" if missing else f"has more than one {several}"))
    return pairs, faults


def _by_name(source: Path, target: Path, prefix: str) -> tuple[list[ClipPair], list[Fault]]:
    """Pairs of files of equal names, whatever their suffixes, in two folders."""
    groups: dict[str, dict[str, list[Path]]] = {}
    for side, folder in zip(_SIDES, (source, target), strict=True):
        for path in _media(folder, 1):
            groups.setdefault(path.stem, {one: [] for one in _SIDES})[side].append(path)
    pairs, faults = [], []
    for stem, sides in sorted(groups.items()):
        if all(len(found) == 1 for found in sides.values()):
            pairs.append(ClipPair(sides["source"][0], sides["target"][0], prefix + stem))
            continue
        lone = next((side for side in _SIDES if not sides[side]), None)
        other = next((found[0].name for found in sides.values() if found), stem)
        reason = f"has no partner of this name in {lone}/" if lone else "stands for several files that differ in suffix"
        faults.append(Fault(prefix + (other if lone else stem), reason))
    return pairs, faults


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()


def _invalid(faults: Sequence[Fault], what: str) -> InvalidExamples:
    more = f"\n  and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
    return InvalidExamples(f"{what}. Repair or remove these:\n  " + "\n  ".join(map(str, faults[:_LISTED])) + more)
