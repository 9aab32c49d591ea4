"""An empty folder, filled with an SDK."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgenctl.errors import UsageError
from loadgenctl.sources.fill_folder import UNFINISHED, filling, is_blank


def test_what_is_filled_stays_and_has_no_mark(tmp_path: Path) -> None:
    with filling(tmp_path):
        (tmp_path / "made").touch()
        with pytest.raises(UsageError, match="another loadgenctl"), filling(tmp_path):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    with pytest.raises(UsageError, match="no longer empty"), filling(tmp_path):
        pass
    assert (tmp_path / "made").exists()


def test_what_fails_leaves_the_folder_empty(tmp_path: Path) -> None:
    def fail() -> None:
        with filling(tmp_path):
            (tmp_path / "half").mkdir()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_filling_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / UNFINISHED).touch()
    (tmp_path / "half").touch()
    assert is_blank(tmp_path)
    with filling(tmp_path):
        assert not (tmp_path / "half").exists()
    assert not is_blank(tmp_path / "missing")
