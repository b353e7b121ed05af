"""The number survives errors, and what is no number is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from vid2vid.provenance.watermark_code import CODED_BITS, decode, encode

FIRST_64, LAST_64 = 0xFA594C1238FD2, 0x65269E973F000000


@pytest.mark.parametrize("payload", [0, 1, 0x123456789ABC, 2**48 - 1])
def test_a_number_comes_back(payload: int) -> None:
    coded = encode(payload)
    assert coded.shape == (CODED_BITS,) and set(np.unique(coded)) <= {-1.0, 1.0}
    assert decode(coded) == payload


def test_a_number_comes_back_from_noise() -> None:
    """At a signal to noise ratio of 0 dB a bit, one coded sign in six is wrong; the code still holds."""
    rng = np.random.default_rng(0)
    for payload in rng.integers(0, 2**48, 20).tolist():
        read = encode(payload) + rng.normal(0, 1, CODED_BITS).astype(np.float32)
        assert np.mean(np.sign(read) != encode(payload)) > 0.08
        assert decode(read) == payload


def test_one_wrong_bit_of_the_code_word_is_not_another_number() -> None:
    assert all(np.mean(encode(1 << bit) != encode(0)) > 0.05 for bit in range(48))


def test_noise_is_no_number() -> None:
    rng = np.random.default_rng(1)
    read = [decode(rng.normal(0, 1, CODED_BITS).astype(np.float32)) for _ in range(200)]
    assert sum(number is not None for number in read) <= 1


def test_the_code_never_changes() -> None:
    """Old files must stay readable: the first and last signs of a known number."""
    bits = "".join("1" if sign < 0 else "0" for sign in encode(0x123456789ABC))
    assert int(bits, 2) % 2**64 == LAST_64, hex(int(bits, 2) % 2**64)
    assert int(bits, 2) >> (CODED_BITS - 64) == FIRST_64, hex(int(bits, 2) >> (CODED_BITS - 64))
