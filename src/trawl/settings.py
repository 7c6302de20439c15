"""Settings: from `trawl.toml` in the library, then `TRAWL_*` variables, then options.

Each is stronger than the one before. This is the only place that reads the environment.
"""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from trawl.errors import SettingsError

FILE_NAME = "trawl.toml"

_STORE_PATTERN = "^(memory|(rediss?|unix)://.+)$"


class ApiKey(BaseModel):
    """Who may ask the server for what. The key itself is not kept: `sha256` is its hash in hex."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: frozenset[Literal["read", "write", "admin"]] = frozenset({"read"})


class Settings(BaseSettings):
    """All that can be set. Names are those of `trawl.toml`; `TRAWL_` and the name in capitals
    is the variable.
    """

    model_config = SettingsConfigDict(env_prefix="TRAWL_", extra="ignore", frozen=True)

    profile: str | None = Field(None, description="The models of a new library; None means mini.")
    model_dir: Path | None = Field(
        None, description="Where downloaded models lie; ~/.cache/trawl/models if not set."
    )
    chunk_tokens: int = Field(200, ge=16, le=2000, description="Tokens of a passage, at most.")
    chunk_overlap_tokens: int = Field(40, ge=0, le=1000, description="Tokens that two share.")
    window_s: float = Field(10.0, ge=0.5, le=600, description="Seconds of a window of sound.")
    hop_s: float = Field(5.0, ge=0.25, le=600, description="Seconds from one window to the next.")
    max_pixels: int = Field(100_000_000, ge=1, description="Pixels of a picture, at most.")
    threads: int = Field(
        default_factory=lambda: min(8, os.cpu_count() or 1),
        ge=1,
        le=256,
        description="Threads that read files.",
    )
    memory_bytes: int = Field(
        512 * 2**20,
        ge=0,
        description="Bytes of the library that a server holds in memory, at most; 0 for none.",
    )
    lock_wait_s: float = Field(
        10.0, ge=0, le=3600, description="Seconds that a writer waits for another to finish."
    )
    freshness_s: float = Field(
        0.25, ge=0, le=60, description="Seconds until readers see what another process wrote."
    )
    host: str = Field("127.0.0.1", description="The address that the server listens on.")
    port: int = Field(8000, ge=0, le=65535, description="The port that the server listens on.")
    max_upload_bytes: int = Field(
        32 * 2**20, ge=1, description="Bytes of one upload to the server, at most."
    )

    api_key: str | None = Field(
        None, repr=False, description="The key that the command line shows a server (--server)."
    )

    # --- the server's ------------------------------------------------------------------
    max_json_bytes: int = Field(
        8 * 2**20, ge=1024, description="Bytes of a request that is not a form, at most."
    )
    upload_timeout_s: float = Field(
        60.0, gt=0, le=3600, description="Seconds that a request's body may take to arrive."
    )
    workers: int = Field(1, ge=1, le=64, description="Processes that serve, of one address.")
    search_threads: int = Field(
        default_factory=lambda: max(2, min(8, os.cpu_count() or 1)),
        ge=1,
        le=256,
        description="Threads of the server that search.",
    )
    search_queue: int = Field(
        64, ge=0, le=100_000, description="Requests that may wait for a thread; more are refused."
    )
    search_wait_s: float = Field(
        0.4, gt=0, le=600, description="Seconds that a request may have to wait behind others."
    )
    cache: str = Field(
        "memory",
        pattern=_STORE_PATTERN,
        description="Where the server keeps answers: `memory`, or a Redis (`redis://HOST:PORT/0`).",
    )
    cache_entries: int = Field(
        1_000, ge=0, le=1_000_000, description="Answers kept in memory, at most; 0 for none at all."
    )
    cache_bytes: int = Field(
        64 * 2**20, ge=2**20, description="Bytes of the answers that the server keeps, at most."
    )
    cache_s: float = Field(
        300.0, gt=0, le=86_400, description="Seconds that the server keeps an answer."
    )
    rate_limit: str = Field(
        "100/minute", description="Requests of one key or address in a time; empty for no limit."
    )
    limits_store: str | None = Field(
        None,
        pattern=_STORE_PATTERN,
        description="Where requests are counted: `memory` or a Redis; where answers are, if unset.",
    )
    trusted_proxies: list[str] = Field(
        [], description="Addresses or networks whose X-Forwarded-For the server believes."
    )
    cors_origins: list[str] = Field(
        [],
        description="Web pages that may ask the server (`https://HOST`, or `*`); none if empty.",
    )
    api_keys: dict[str, ApiKey] = Field(
        {}, description="Keys that the server asks for, by the name of who has them."
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="How the server's log lines look."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What the server logs at least. No level logs what is searched for."
    )
    insecure: bool = Field(
        False, description="Serve on a public address although there are no keys."
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern="^https?://",
        description="Where traces go, by OTLP over HTTP (`http://HOST:4318`); nowhere if unset.",
    )
    max_connections: int = Field(
        1_000, ge=1, le=100_000, description="Connections to the server at once, at most."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, given: list[str]) -> list[str]:
        for network in given:
            ip_network(network, strict=False)
        return given

    @model_validator(mode="after")
    def _overlap_is_part(self) -> Settings:
        if self.chunk_overlap_tokens * 2 > self.chunk_tokens:
            raise ValueError("chunk_overlap_tokens is at most half of chunk_tokens")
        if self.hop_s > self.window_s:
            raise ValueError("hop_s is at most window_s, or sound between windows is lost")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options first, then variables; `load_settings` puts the file behind them."""
        return init_settings, env_settings


def load_settings(library: Path | None = None, **options: Any) -> Settings:
    """Give the settings of a library. An option of None counts as not given.

    Raises `SettingsError`, which names the setting, its value and what it may be.
    """
    given = {name: value for name, value in options.items() if value is not None}
    unknown = set(given) - set(Settings.model_fields)
    if unknown:
        raise SettingsError(
            f"no setting {', '.join(sorted(unknown))}; "
            f"there are: {', '.join(Settings.model_fields)}"
        )
    file = library / FILE_NAME if library is not None else None
    try:
        if file is not None and file.exists():
            return _from_file(file)(**given)
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error


def _from_file(file: Path) -> type[Settings]:
    class _FileSettings(Settings):
        model_config = SettingsConfigDict(toml_file=file, extra="ignore")

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: Any, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            weaker = TomlConfigSettingsSource(settings_cls)
            return (*super().settings_customise_sources(settings_cls, *sources, **named), weaker)

    return _FileSettings


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"]) or "settings"
        variable = f" (or TRAWL_{name.upper()}, or {FILE_NAME})"
        given = f", not {problem['input']!r}" if problem["loc"] else ""
        lines.append(f"{name}{variable if problem['loc'] else ''}: {problem['msg']}{given}")
    return "; ".join(lines)
