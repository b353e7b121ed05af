"""Every test here has a home of its own, so that keys and lists of renders do not meet."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("VID2VID_HOME", str(folder))
    for name in ("VID2VID_CERTIFICATE", "VID2VID_KEY", "VID2VID_TRUST", "VID2VID_WATERMARK_KEY"):
        monkeypatch.delenv(name, raising=False)
    return folder
