import numpy as np

from tests.motion.figures import HEIGHT, spread, turned, view
from vid2vid.motion.choosing import Choice, candidates, limb_costs, trunk_costs
from vid2vid.motion.limbs import ARM_L, exchanged

STRAIGHT, BENT = spread(), turned(spread(), (4, 5), -100)


def normal(pose: np.ndarray) -> np.ndarray:
    return ((pose - pose[2]) / HEIGHT).astype(np.float32)


def known(doubts: np.ndarray | None = None, facings: tuple[float, float] = (0.0, 0.0)):
    views = [view(pose, facing) for pose, facing in zip((STRAIGHT, BENT), facings, strict=True)]
    views += [exchanged(one) for one in views]
    return candidates(views, HEIGHT, np.zeros((4, 6), np.float32) if doubts is None else doubts)


def test_the_picture_with_the_nearest_bend_plays_a_limb() -> None:
    assert limb_costs(known(), normal(BENT), None, ARM_L, 0, 2).argmin() == 1
    assert limb_costs(known(), normal(STRAIGHT), None, ARM_L, 0, 2).argmin() == 0


def test_a_hidden_limb_is_avoided_and_the_other_side_helps_out() -> None:
    doubts = np.zeros((4, 6), np.float32)
    doubts[0, ARM_L] = 0.9
    costs = limb_costs(known(doubts), normal(STRAIGHT), None, ARM_L, 0, 2)
    assert costs.argmin() != 0
    clear = limb_costs(known(), normal(STRAIGHT), None, ARM_L, 0, 2)
    assert clear[2] > clear[0] + 2


def test_a_trunk_is_taken_that_looks_the_way_wanted() -> None:
    both = known(facings=(1.0, -1.0))
    assert trunk_costs(both, normal(STRAIGHT), -1.0, roots_known=True)[:2].argmin() == 1
    assert trunk_costs(both, normal(STRAIGHT), 1.0, roots_known=True)[:2].argmin() == 0


def test_a_choice_is_held_until_another_is_clearly_better_and_then_fades() -> None:
    choice = Choice(2)
    choice.update(np.float32((1.0, 1.2)))
    for costs in ((1.3, 1.0), (1.0, 1.3), (1.4, 1.0)):
        choice.update(np.float32(costs))
        assert (choice.current, choice.previous) == (0, -1)
    shares = []
    for _ in range(4):
        choice.update(np.float32((3.0, 1.0)))
        shares.append((choice.current, choice.previous, round(choice.share, 2)))
    assert shares == [(1, 0, 0.33), (1, 0, 0.67), (1, -1, 1.0), (1, -1, 1.0)]
