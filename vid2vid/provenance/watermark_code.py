"""The mark's number as coded bits that survive errors, and back.

Convention:
    A number has 48 bits, the highest first. Coded bits are signs: bit 0 is +1, bit 1 is -1; soft bits are any floats
    of the same sign sense, larger where they are surer.
"""

from __future__ import annotations

import binascii
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAYLOAD_BITS: Final = 48
_CHECK_BITS: Final = 16
_MEMORY: Final = 8
"""Bits the encoder remembers: constraint length 9."""
_GENERATORS: Final = (0o463, 0o535, 0o733, 0o745)
"""The rate-1/4 code of memory 8 with the largest free distance, 24.

Source: Larsen 1973, "Short convolutional codes with maximal free distance for rates 1/2, 1/3, and 1/4", table III.
"""
_STATES: Final = 1 << _MEMORY
_STEPS: Final = PAYLOAD_BITS + _CHECK_BITS + _MEMORY
CODED_BITS: Final = _STEPS * len(_GENERATORS)


def encode(payload: int) -> NDArray[np.float32]:
    """Number, check sum and the zeros that bring the encoder home, as signs.

    Args:
        payload: 0 to 2**48 - 1.

    Returns:
        (CODED_BITS,) float32 of -1 and 1.
    """
    word = (payload << _CHECK_BITS) | _check_sum(payload)
    register, coded = 0, []
    for place in range(_STEPS - 1, -1, -1):
        bit = (word << _MEMORY >> place) & 1
        register = ((register << 1) | bit) & (2 * _STATES - 1)
        coded.append(_branches()[register])
    return np.concatenate(coded)


def decode(soft: NDArray[np.float32]) -> int | None:
    """The number whose code is nearest to what was read (Viterbi); None where its check sum is wrong.

    Args:
        soft: (CODED_BITS,) floats.

    Noise passes the check sum once in 65,536 times.
    """
    branches = soft.reshape(_STEPS, -1) @ _branches().T
    older = np.arange(_STATES) >> 1
    metric = np.full(_STATES, -np.inf)
    metric[0] = 0.0
    came_from_high = np.zeros((_STEPS, _STATES), np.bool_)
    for step in range(_STEPS):
        low = metric[older] + branches[step, :_STATES]
        high = metric[older + _STATES // 2] + branches[step, _STATES:]
        came_from_high[step] = high > low
        metric = np.maximum(low, high)
    return _checked(_trace(came_from_high))


def _trace(came_from_high: NDArray[np.bool_]) -> int:
    """The word along the best path that ends in state 0, without the closing zeros."""
    state, word = 0, 0
    for step in range(_STEPS - 1, -1, -1):
        word |= (state & 1) << (_STEPS - 1 - step)
        state = (state + _STATES * int(came_from_high[step, state])) >> 1
    return word >> _MEMORY


def _checked(word: int) -> int | None:
    payload = word >> _CHECK_BITS
    return payload if word & ((1 << _CHECK_BITS) - 1) == _check_sum(payload) else None


def _check_sum(payload: int) -> int:
    """CRC-16/CCITT; its start value keeps the number 0 from being all zeros."""
    return binascii.crc_hqx(payload.to_bytes(PAYLOAD_BITS // 8, "big"), 0xFFFF)


@cache
def _branches() -> NDArray[np.float32]:
    """(2 * _STATES, 4): what the encoder gives for each content of its register."""
    parities = [[(register & taps).bit_count() & 1 for taps in _GENERATORS] for register in range(2 * _STATES)]
    return np.float32(1) - 2 * np.asarray(parities, np.float32)
