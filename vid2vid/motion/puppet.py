"""Real pixels of an actor moved limb by limb into a pose.

Convention:
    Joints are `(15, 2)` px of the frame as in `skeleton.BODY`, or `(11, 2)` as in `STICK`. Colours of layers are
    multiplied by coverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vid2vid.motion import bending
from vid2vid.motion.actor import resized
from vid2vid.motion.choosing import LIMBS, Choice, Shown, candidates, limb_costs, trunk_costs
from vid2vid.motion.cutting import DISTANCE_UNIT, Cutout, cut, mirrored_cut
from vid2vid.motion.embody import embody
from vid2vid.motion.limbs import (
    ARM_L,
    CHAINS,
    FOOT_LENGTH,
    HEAD,
    LEG_L,
    LEG_R,
    OTHER_SIDE,
    TRUNK,
    TRUNK_JOINTS,
    evened,
    exchanged,
    half_widths,
    mirrored,
)  # fmt: skip
from vid2vid.motion.skeleton import STICK, STICK_IN_BODY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.motion.actor import Actor, View

    Field = NDArray[np.float32]

_DETAIL: Final = 1.3
"""Pixels of a texture per pixel of the frame: at 1, moving a picture softens it."""
_MARGINS: Final = (0.12, 0.12, 0.12, 0.12, 0.22, 0.17)
"""How far a limb may reach beyond its bones, in body heights."""
_STRAYS: Final = 0.8
"""Half-widths by which a pixel's distance from its limb may change before it vanishes."""
_NEAR_ENOUGH: Final = 0.12
"""Feet within this of the ground, in body heights, lie flat rather than stiff."""
_BLURRED_FROM: Final = 0.02
"""Movement in a frame, in body heights, from which a limb is blurred."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One figure, ready to be laid over a scene."""

    rgba: NDArray[np.uint8]
    """`(H, W, 4)`: colour multiplied by coverage, and coverage."""
    joints: Field
    """`(15, 2)` px."""
    height: float
    """Of the figure standing, in px."""

    @property
    def coverage(self) -> Field:
        """`(H, W)` float32 in [0, 1]."""
        return np.asarray(self.rgba[..., 3], np.float32) / 255.0


@dataclass(frozen=True, slots=True, eq=False)
class Act:
    """What one frame is to show, decided in the order of frames; to be drawn at any time."""

    body: Field
    """`(15, 2)` px."""
    last: Field | None
    """The frame before, from which fast limbs are blurred."""
    choices: tuple[Shown, ...]
    """Pictures of the limbs of `limbs.CHAINS`."""
    order: tuple[int, ...]
    """Limbs from the farthest to the nearest."""
    ground: float | None


class Puppet:
    """An actor playing one figure through one clip; it remembers which pictures it used."""

    def __init__(
        self,
        actor: Actor,
        height_px: float,
        size: tuple[int, int],
        *,
        fade_frames: int = 2,
        shutter: float = 0.0,
        mirror: bool = True,
        even_light: bool = True,
    ) -> None:
        """Prepares an actor.

        Args:
            actor: who plays.
            height_px: of the figure standing upright, in pixels of the frames.
            size: width, height of the frames.
            fade_frames: over which one picture of the actor turns into another.
            shutter: share of a frame's time that fast limbs are blurred over, 0 for none.
            mirror: whether pictures may be used mirrored.
            even_light: whether all pictures are brought to the same light.
        """
        self._actor, self._size, self._height, self._shutter = actor, size, float(height_px), shutter
        self._detail = float(np.clip(actor.height / height_px, 0.25, _DETAIL))
        scale = height_px * self._detail / actor.height
        views = [resized(view, scale) for view in actor.views]
        views = evened(views) if even_light else views
        tall = height_px * self._detail
        self._widths = half_widths(views, tall)
        self._bodies: list[View] = views + ([mirrored(view) for view in views] if mirror else [])
        # An arm that no picture shows is played by the other one.
        self._views = self._bodies + [exchanged(view) for view in self._bodies]
        self._cuts = {number: cut(view, self._widths, tall) for number, view in enumerate(views)}
        doubts = np.array([[limb.doubt for limb in limbs] for limbs in self._cuts.values()], np.float32)
        other = doubts[:, list(OTHER_SIDE)]
        doubts = np.vstack([doubts, other, other, doubts] if mirror else [doubts, other])
        self._known = candidates(self._views, tall, doubts)
        self._fade_frames = fade_frames
        self._step = max(1, round(height_px / 150))
        self.reset()

    def reset(self) -> None:
        """Forgets the clip so far: the next pose begins another."""
        self._choices = [Choice(self._fade_frames) for _ in CHAINS]
        self._showing: tuple[Shown, ...] = ()
        self._last: Field | None = None
        self._behind, self._raised = np.zeros(4, bool), np.zeros(4, bool)

    @property
    def pictures(self) -> tuple[int, ...]:
        """Numbers of the actor's views that the limbs of `limbs.CHAINS` use now; -1 before the first pose."""
        count = len(self._actor.views)
        return tuple(-1 if choice.current < 0 else choice.current % count for choice in self._choices)

    def pose(
        self, joints: Field, facing: float | None = None, ground: float | None = None, depth: Field | None = None
    ) -> Layer:
        """Shows the actor in the next frame's pose.

        Args:
            joints: `(15, 2)` of a person or `(11, 2)` of a drawn figure, px of the frame.
            facing: +1 to the right of the picture, -1 to the left; None where the pose alone decides.
            ground: y of the ground under the figure: feet near it lie flat. None keeps feet as they stand to the shins.
            depth: `(15,)` body heights as in `View.depth`, where known: arms behind the trunk go behind it.
        """
        return self.draw(self.decide(joints, facing, ground, depth))

    def decide(
        self, joints: Field, facing: float | None = None, ground: float | None = None, depth: Field | None = None
    ) -> Act:
        """What `pose` does before it draws: chooses pictures for the next frame. Arguments as there."""
        body = self._embodied(np.asarray(joints, np.float32), facing)
        self._choose(body, facing, len(joints) != len(STICK))
        self._order(body, facing, depth)
        shown = tuple(choice.shown for choice in self._choices)
        self._showing = shown if shown != self._showing else self._showing  # one object while nothing changes
        act = Act(body, self._last, self._showing, tuple(self._drawing_order()), ground)
        self._last = body
        return act

    def draw(self, act: Act) -> Layer:
        """Draws what was decided; nothing is remembered."""
        canvas = np.zeros((self._size[1], self._size[0], 4), np.float32)
        for limb in act.order:
            self._draw(canvas, limb, act)
        return Layer(canvas.clip(0, 255).round().astype(np.uint8), act.body, self._height)

    def _cut(self, number: int) -> tuple[Cutout, ...]:
        """Limbs of a picture, cut at its first use."""
        if number >= len(self._bodies):
            limbs = self._cut(number - len(self._bodies))
            return tuple(limbs[limb] for limb in OTHER_SIDE)
        if number not in self._cuts:
            self._cuts[number] = mirrored_cut(self._cuts[number - len(self._bodies) // 2])
        return self._cuts[number]

    def _embodied(self, joints: Field, facing: float | None) -> Field:
        """`(15, 2)`: a drawn figure gets the trunk of the picture chosen, faded as that is."""
        if len(joints) != len(STICK):
            return joints
        choice = self._choices[TRUNK]
        pose = np.full((15, 2), np.nan, np.float32)
        pose[list(STICK_IN_BODY)] = (joints - joints[2]) / self._height
        choice.update(self._trunk_costs(pose, facing, roots_known=False))
        body = embody(joints, self._views[choice.current], 1.0 / self._detail)
        if choice.previous >= 0:
            old = embody(joints, self._views[choice.previous], 1.0 / self._detail)
            body = choice.share * body + (1.0 - choice.share) * old
        return body

    def _trunk_costs(self, pose: Field, facing: float | None, roots_known: bool) -> Field:
        return trunk_costs(self._known, pose, facing, roots_known)[: len(self._bodies)]

    def _choose(self, body: Field, facing: float | None, roots_known: bool) -> None:
        pose = (body - body[2]) / self._height
        trunk = self._choices[TRUNK]
        if roots_known:
            trunk.update(self._trunk_costs(pose, facing, roots_known=True))
        self._choices[HEAD] = trunk
        for limb in LIMBS:
            self._choices[limb].update(limb_costs(self._known, pose, facing, limb, trunk.current, len(self._bodies)))

    def _order(self, body: Field, facing: float | None, depth: Field | None) -> None:
        """Notes which arms and legs are behind the trunk; they change sides only where that is clear."""
        trunk = self._views[self._choices[TRUNK].current]
        sideways = facing if facing is not None else trunk.facing
        for place, limb in enumerate(LIMBS):
            chain = list(CHAINS[limb])
            if depth is not None:
                behind = float(depth[chain[1:]].mean() - depth[[chain[0], 2]].mean())
            elif abs(sideways) > 0.5:
                behind = np.sign(sideways) * (0.2 if limb in (ARM_L, LEG_L) else -0.2)
            else:
                view = self._views[self._choices[limb].current]
                behind = float(view.depth[chain[1:]].mean() - view.depth[chain[0]])
            threshold = -0.04 if self._behind[place] else 0.08
            self._behind[place] = behind > threshold
            if limb in (LEG_L, LEG_R):
                # What is worn on the trunk hangs over the thighs, unless a knee is drawn up before it.
                thigh, down = body[chain[1]] - body[chain[0]], body[2] - body[1]
                lowered = (_direction(thigh) * _direction(down).conjugate()).real
                self._raised[place] = lowered < (0.65 if self._raised[place] else 0.5)

    def _drawing_order(self) -> list[int]:
        behind = [limb for limb, is_behind in zip(LIMBS, self._behind, strict=True) if is_behind]
        before = [limb for limb in LIMBS if limb not in behind]
        beneath = [limb for limb in before if limb in (LEG_L, LEG_R) and not self._raised[LIMBS.index(limb)]]
        return [*behind, *beneath, TRUNK, HEAD, *(limb for limb in before[::-1] if limb not in beneath)]

    def _draw(self, canvas: Field, limb: int, act: Act) -> None:
        """Lays a limb over what is drawn already, blurred where it moves fast."""
        moments = [act.body]
        if self._shutter > 0.0 and act.last is not None:
            moved = (act.body - act.last) * self._shutter
            if np.linalg.norm(moved[list(CHAINS[limb])], axis=-1).max() > _BLURRED_FROM * self._height:
                moments = [act.body + share * moved for share in (-0.5, -0.25, 0.0, 0.25, 0.5)]
        box = self._box(limb, np.concatenate([m[list(CHAINS[limb])] for m in moments]))
        if not box[2] or not box[3]:
            return
        picture = self._limb(limb, act, moments[0], box)
        for moment in moments[1:]:
            picture = picture + self._limb(limb, act, moment, box)
        picture = picture / np.float32(len(moments))
        left, top, width, height = box
        place = canvas[top : top + height, left : left + width]
        picture = picture[: place.shape[0], : place.shape[1]]
        place *= 1.0 - picture[..., 3:] / np.float32(255.0)
        place += picture

    def _box(self, limb: int, joints: Field) -> bending.Box:
        return bending.box_around(joints, _MARGINS[limb] * self._height, self._size, self._grid(limb))

    def _grid(self, limb: int) -> int:
        """Pixels between the places at which a map is computed: trunks move more smoothly than limbs."""
        return max(4, 4 * self._step) if limb == TRUNK else self._step

    def _limb(self, limb: int, act: Act, body: Field, box: bending.Box) -> Field:
        """`(h, w, 4)` float32 of one limb at one moment, faded between two pictures where they change."""
        choice = act.choices[limb]
        picture = self._shown(limb, choice.current, body, act.ground, box)
        if choice.previous >= 0:
            old = self._shown(limb, choice.previous, body, act.ground, box)
            picture = old + np.float32(choice.share) * (picture - old)
        return picture

    def _shown(self, limb: int, number: int, body: Field, ground: float | None, box: bending.Box) -> Field:
        cutout = self._cut(number)[limb]
        if limb == TRUNK:
            target = body[list(TRUNK_JOINTS)]
            moved = bending.drape(target, cutout.points, self._detail, box, self._grid(limb))
        else:
            target = body[list(CHAINS[limb])]
            if limb in (LEG_L, LEG_R):
                target = self._with_toes(target, cutout.points, ground)
            widths = [width * self._height for width in self._widths[limb]]
            moved = bending.bend(target, cutout.points, widths, self._detail, box, self._grid(limb))
        picture = cv2.remap(cutout.texture, moved.places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        picture = np.asarray(picture, np.float32)
        if moved.distance is not None:
            members = cv2.remap(cutout.members, moved.places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
            share = np.einsum("hwb,hwb->hw", members[..., :-1].astype(np.float32), moved.weights) / np.float32(255.0)
            # Where bones pull apart, a place may be led to one much nearer to the limb's middle: no skin of this limb.
            strayed = np.abs(moved.distance - members[..., -1] / np.float32(DISTANCE_UNIT))
            picture *= (share * ((_STRAYS - strayed) / 0.4).clip(0, 1))[..., None]
        return np.asarray(picture, np.float32)

    def _with_toes(self, leg: Field, source: Field, ground: float | None) -> Field:
        """Adds where the toes shall be: stiff with the shin in the air, as in the picture on the ground."""
        stiff, flat = _direction(leg[2] - leg[1]), _direction(source[3] - source[2])
        stiff = stiff * flat / _direction(source[2] - source[1])
        lift = 1.0 if ground is None else min(1.0, max(0.0, (ground - leg[2, 1]) / (_NEAR_ENOUGH * self._height)))
        turn = float(np.clip(np.angle(flat / stiff), -1.0, 1.0)) * (1.0 - lift)
        toes = stiff * np.exp(1j * turn) * FOOT_LENGTH * self._height
        return np.vstack([leg, leg[2] + (toes.real, toes.imag)]).astype(np.float32)


def _direction(vector: Field) -> complex:
    """A direction as a complex number of length 1."""
    length = float(np.hypot(*vector))
    return complex(vector[0], vector[1]) / length if length > 1e-3 else 1 + 0j
