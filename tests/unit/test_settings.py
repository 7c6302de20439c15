"""Invalid settings and their error messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from trawl.errors import SettingsError
from trawl.settings import load_settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk_tokens": 3}, "TRAWL_CHUNK_TOKENS.*greater than or equal to 16, not 3"),
        ({"port": "http"}, "port.*'http'"),
        ({"colour": "red"}, "unknown setting colour; settings: .*chunk_tokens"),
        ({"chunk_tokens": 20, "chunk_overlap_tokens": 15}, "at most half of chunk_tokens"),
        ({"window_s": 5, "hop_s": 6}, "hop_s must be at most window_s"),
    ],
)
def test_invalid_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(None, **options)


def test_invalid_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAWL_READER_WORKERS", "none")
    with pytest.raises(SettingsError, match="TRAWL_READER_WORKERS"):
        load_settings()


def test_invalid_toml(tmp_path: Path) -> None:
    (tmp_path / "trawl.toml").write_text("port = = 3", "utf-8")
    with pytest.raises(SettingsError, match=r"trawl\.toml"):
        load_settings(tmp_path)


def test_none_counts_as_unset() -> None:
    assert load_settings(None, port=None).port == load_settings().port
