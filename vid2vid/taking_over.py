"""Who takes over whom: what a caller says by `reference=` and by a task's choice, set against who is in the clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from vid2vid.errors import InvalidOption, ReferenceMismatch

Chosen = str | tuple[int, ...]
"""`largest`, `all`, or numbers."""


class Named(Protocol):
    """Somebody who takes over."""

    @property
    def name(self) -> str | None:
        """Number of the one who is taken over, as the caller's mapping says it; None for anybody."""
        ...


_N = TypeVar("_N", bound=Named)


@dataclass(frozen=True, slots=True)
class Words:
    """How a task speaks of what is taken over."""

    one: str
    """`person`."""
    option: str
    """The option that chooses: `people`, which is also the plural."""
    clip: str
    """`film`."""
    hint: str
    """A sentence: where the numbers are seen."""

    def check(self, chosen: Chosen) -> None:
        """Checks a choice before any clip is looked at.

        Raises:
            InvalidOption: neither `largest`, `all`, nor at least one number.
        """
        if not chosen or (isinstance(chosen, str) and chosen not in ("largest", "all")):
            raise InvalidOption(
                f"{self.option}={chosen!r}: 'largest', 'all', or numbers such as 0,2 are needed. {self.hint}"
            )


def who_takes_over(
    given: Sequence[_N], chosen: Chosen, there: Sequence[int], largest: int | None, words: Words
) -> Mapping[int, _N]:
    """Says for each one in the clip who is taken over by whom.

    Args:
        given: those who take over. Whoever has a name takes over that one, chosen or not; the first without a name
            takes over everybody else who is chosen. Where all have names and the choice is `largest`, which is what it
            is when nothing was said, nobody else is taken over.
        chosen: who is taken over.
        there: numbers of all in the clip.
        largest: number of the one who covers most of it; None where there is nobody.
        words: how the errors speak.

    Raises:
        InvalidOption: a number is chosen that is not there.
        ReferenceMismatch: somebody is given for a number that is not there, or nobody for one that is chosen.
    """
    listed = f"the {words.clip}'s {words.option} are numbered {', '.join(map(str, there)) or 'none'}. {words.hint}"
    named: dict[int, _N] = {}
    for one in given:
        if one.name is not None:
            if not one.name.isdecimal() or int(one.name) not in there:
                raise ReferenceMismatch(f"reference= has an entry for {words.one} '{one.name}', but {listed}")
            named[int(one.name)] = one
    general = next((one for one in given if one.name is None), None)
    if chosen == "largest" and named and general is None:
        return named
    found: dict[int, _N] = {}
    for number in _numbers(chosen, there, largest):
        if number not in there and isinstance(chosen, tuple):
            said = ",".join(map(str, chosen))
            raise InvalidOption(f"{words.option}={said}: the {words.clip} has no {words.one} {number}; {listed}")
        whose = named.get(number, general)
        if whose is None:
            raise ReferenceMismatch(
                f"reference= has nobody for {words.one} {number}: add one, or leave it out of {words.option}=."
            )
        found[number] = whose
    return found | named


def _numbers(chosen: Chosen, there: Sequence[int], largest: int | None) -> Sequence[int]:
    if isinstance(chosen, tuple):
        return chosen
    if chosen == "all":
        return there
    return [] if largest is None else [largest]
