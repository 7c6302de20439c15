"""Settings: what is refused, and how it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from trawl.errors import SettingsError
from trawl.settings import load_settings


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"chunk_tokens": 3}, "TRAWL_CHUNK_TOKENS.*greater than or equal to 16, not 3"),
        ({"port": "http"}, "port.*'http'"),
        ({"colour": "red"}, "no setting colour; there are: .*chunk_tokens"),
        ({"chunk_tokens": 20, "chunk_overlap_tokens": 15}, "at most half of chunk_tokens"),
        ({"window_s": 5, "hop_s": 6}, "hop_s is at most window_s"),
    ],
)
def test_what_is_out_of_range(options: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load_settings(None, **options)


def test_a_variable_out_of_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAWL_THREADS", "none")
    with pytest.raises(SettingsError, match="TRAWL_THREADS"):
        load_settings()


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    (tmp_path / "trawl.toml").write_text("port = = 3", "utf-8")
    with pytest.raises(SettingsError, match=r"trawl\.toml"):
        load_settings(tmp_path)


def test_none_is_not_given() -> None:
    assert load_settings(None, port=None).port == load_settings().port
