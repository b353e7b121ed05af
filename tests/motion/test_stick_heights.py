"""A figure's height shows in whatever poses it takes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.stick_figures import HEIGHT, STANDING
from vid2vid.motion.stick_heights import standing_height, stretched_lengths


def test_poses_and_foreshortening_do_not_change_it() -> None:
    squeezed = [STANDING * np.array([1, share], np.float32) for share in (1.0, 0.7, 1.0, 0.9, 1.0)]
    turned = [pose[:, ::-1] * np.array([1, -1], np.float32) for pose in squeezed]
    assert standing_height(stretched_lengths(np.stack(squeezed + turned))) == pytest.approx(HEIGHT, rel=0.06)


def test_the_longer_leg_counts() -> None:
    bent = STANDING.copy()
    bent[8] = bent[2]
    assert stretched_lengths(bent) == pytest.approx(float(stretched_lengths(STANDING)), rel=0.02)
