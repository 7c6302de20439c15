"""Settings from the library's `trawl.toml`, `TRAWL_*` environment variables and options.

Options override variables, and variables override the file. Only this module reads the
environment.
"""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from trawl.errors import SettingsError
from trawl.locations import location_of

FILE_NAME = "trawl.toml"

_STORE_PATTERN = "^(memory|(rediss?|unix)://.+)$"


class ApiKey(BaseModel):
    """One API key of the server: the SHA-256 of the key in hex, and the key's scopes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: frozenset[Literal["read", "write", "admin"]] = frozenset({"read"})


class Settings(BaseSettings):
    """All settings.

    The fields are the keys of `trawl.toml`. The environment variable of a field is
    `TRAWL_` and its name in capitals, such as `TRAWL_CHUNK_TOKENS`.
    """

    model_config = SettingsConfigDict(env_prefix="TRAWL_", extra="ignore", frozen=True)

    # --- the library -------------------------------------------------------------------
    profile: str | None = Field(
        None, description="Profile or models of a new library; `mini` if unset."
    )
    dimension: int | None = Field(
        None,
        ge=1,
        description="Dimensions of a new library's vectors, for models that offer several; the "
        "model's own if unset.",
    )
    model_dir: Path | None = Field(
        None, description="Folder of downloaded models; `~/.cache/trawl/models` if unset."
    )
    chunk_tokens: int = Field(200, ge=16, le=2000, description="Maximum tokens per passage.")
    chunk_overlap_tokens: int = Field(
        40, ge=0, le=1000, description="Tokens that consecutive passages share."
    )
    window_s: float = Field(10.0, ge=0.5, le=600, description="Length of an audio window, seconds.")
    hop_s: float = Field(
        5.0, ge=0.25, le=600, description="Seconds between the starts of two audio windows."
    )
    max_pixels: int = Field(
        100_000_000, ge=1, description="Maximum pixels of an image; larger images are rejected."
    )
    ocr: str = Field(
        "auto",
        description="Engine that recognises text on pages without a text layer and in figures: "
        "auto (Tesseract if the extra ocr is installed), off, tesseract, or module:name.",
    )
    ocr_languages: str = Field(
        "eng", description="Languages that are recognised, as of Tesseract, such as eng+deu."
    )
    speech_model: str | None = Field(
        None,
        description="Whisper model that transcribes recordings and videos, a name or a folder, "
        "with the extra speech; none if unset.",
    )
    reader_workers: int = Field(
        default_factory=lambda: min(8, os.cpu_count() or 1),
        ge=1,
        le=256,
        description="Files that are read at the same time. Each but plain text is read in a "
        "process of its own.",
    )
    reader_timeout_s: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="Seconds after which the reader of a file is stopped if it has not read a "
        "further page or part.",
    )
    reader_memory_mb: int = Field(
        1024,
        ge=64,
        le=1_048_576,
        description="Megabytes of memory that the reader of one file may use.",
    )
    lock_wait_s: float = Field(
        10.0, ge=0, le=3600, description="Seconds a writer waits for another writer's lock."
    )
    freshness_s: float = Field(
        0.25,
        ge=0,
        le=60,
        description="Seconds until a reader sees the commits of another process.",
    )

    storage_options: dict[str, str] = Field(
        {},
        repr=False,
        description="Options of the object store (s3://, gs://, az://) of the library, as JSON in "
        "the environment, such as aws_endpoint or aws_access_key_id. The usual variables (AWS_…, "
        "GOOGLE_…, AZURE_…) apply too.",
    )
    cache_dir: Path | None = Field(
        None,
        description="Folder of the local copies of libraries in object stores; "
        "`~/.cache/trawl/libraries` if unset.",
    )
    mirror_bytes: int = Field(
        20 * 2**30,
        ge=0,
        description="Maximum bytes of a library in an object store that are copied to the local "
        "disk, so that a search sends no request to the store; 0 for none.",
    )

    # --- the client --------------------------------------------------------------------
    api_key: str | None = Field(
        None, repr=False, description="API key that the command line sends to a server (--server)."
    )

    # --- several libraries -------------------------------------------------------------
    library_timeout_s: float = Field(
        5.0,
        gt=0,
        le=600,
        description="Seconds that each of several libraries has to answer; a slower one is named "
        "in the answer, without its results.",
    )

    # --- the server --------------------------------------------------------------------
    host: str = Field("127.0.0.1", description="Address the server listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the server listens on.")
    workers: int = Field(1, ge=1, le=64, description="Server processes, which share one port.")
    max_connections: int = Field(
        1_000, ge=1, le=100_000, description="Maximum open connections to the server."
    )
    search_threads: int = Field(
        default_factory=lambda: max(2, min(8, os.cpu_count() or 1)),
        ge=1,
        le=256,
        description="Search threads of the server.",
    )
    search_queue: int = Field(
        64,
        ge=0,
        le=100_000,
        description="Requests that may wait for a search thread; further requests are refused.",
    )
    search_wait_s: float = Field(
        0.4, gt=0, le=600, description="Maximum seconds a request waits for a search thread."
    )
    memory_bytes: int = Field(
        512 * 2**20,
        ge=0,
        description="Maximum bytes of codes of the library's vectors that the server keeps in "
        "memory; 0 for none.",
    )
    max_upload_bytes: int = Field(
        32 * 2**20, ge=1, description="Maximum bytes of one upload to the server."
    )
    max_json_bytes: int = Field(
        8 * 2**20, ge=1024, description="Maximum bytes of a request body that is not a form."
    )
    upload_timeout_s: float = Field(
        60.0, gt=0, le=3600, description="Maximum seconds to receive a request body."
    )
    cache: str = Field(
        "memory",
        pattern=_STORE_PATTERN,
        description="Store of cached responses: `memory`, or a Redis URL (`redis://HOST:PORT/0`).",
    )
    cache_entries: int = Field(
        1_000,
        ge=0,
        le=1_000_000,
        description="Maximum responses cached in memory; 0 disables the cache.",
    )
    cache_bytes: int = Field(
        64 * 2**20, ge=2**20, description="Maximum bytes of cached responses in memory."
    )
    cache_s: float = Field(
        300.0, gt=0, le=86_400, description="Seconds a cached response remains valid."
    )
    rate_limit: str = Field(
        "100/minute",
        description="Maximum requests per API key or client address; empty for no limit. "
        "Without keys, requests from this machine are not limited.",
    )
    limits_store: str | None = Field(
        None,
        pattern=_STORE_PATTERN,
        description="Store of rate-limit counters: `memory` or a Redis URL; as `cache` if unset.",
    )
    trusted_proxies: list[str] = Field(
        [], description="Proxy addresses or networks whose X-Forwarded-* headers are trusted."
    )
    root_path: str = Field(
        "",
        pattern="^(/[A-Za-z0-9._~-]+)*$",
        description="Path prefix of the server behind a proxy, such as /trawl; none if empty.",
    )
    cors_origins: list[str] = Field(
        [],
        description="Allowed CORS origins (`https://HOST`, or `*`); none if empty.",
    )
    api_keys: dict[str, ApiKey] = Field(
        {}, description="API keys by name; no key is required if empty."
    )
    insecure: bool = Field(
        False, description="Allow listening on a public address without API keys."
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="Format of the server's log lines."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level the server logs. No level logs queries."
    )
    development: bool = Field(
        False, description="Serve pages for developers of the page: `/ui/tokens`."
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern="^https?://",
        description="OTLP/HTTP endpoint for traces (`http://HOST:4318`); no traces if unset.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, networks: list[str]) -> list[str]:
        for network in networks:
            ip_network(network, strict=False)
        return networks

    @model_validator(mode="after")
    def _check_overlaps(self) -> Settings:
        if self.chunk_overlap_tokens * 2 > self.chunk_tokens:
            raise ValueError("chunk_overlap_tokens must be at most half of chunk_tokens")
        if self.hop_s > self.window_s:
            raise ValueError(
                "hop_s must be at most window_s, or sound between windows is not indexed"
            )
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
        """Return the sources, strongest first; `load_settings` appends the file."""
        return init_settings, env_settings


def load_settings(library: str | os.PathLike[str] | None = None, **options: Any) -> Settings:
    """Return the settings of a library. Options that are None count as unset.

    Raises `SettingsError`, which names the setting, its value and the allowed values.
    """
    overrides = {name: value for name, value in options.items() if value is not None}
    unknown = set(overrides) - set(Settings.model_fields)
    if unknown:
        raise SettingsError(
            f"unknown setting {', '.join(sorted(unknown))}; "
            f"settings: {', '.join(Settings.model_fields)}"
        )
    file = "the environment"
    try:
        settings = Settings(**overrides)
        if library is None:
            return settings
        location = location_of(library, settings.storage_options)
        file = f"{location}/{FILE_NAME}"
        with suppress(FileNotFoundError, NotADirectoryError):
            return _with_file(tomllib.loads(location.read(FILE_NAME).decode()))(**overrides)
        return settings
    except ValidationError as error:
        raise SettingsError(_describe(error)) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read {file}: {error}") from error


def _with_file(values: dict[str, Any]) -> type[Settings]:
    """Return `Settings` with the values of a file as its weakest source."""

    class _FileSettings(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: Any, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            weakest = InitSettingsSource(settings_cls, values)
            return (*super().settings_customise_sources(settings_cls, *sources, **named), weakest)

    return _FileSettings


def _describe(error: ValidationError) -> str:
    """Return one line for all problems, each with the setting, its variable and its value."""
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if name:
            variable = f"TRAWL_{name.upper()} or {FILE_NAME}"
            lines.append(f"{name} (or {variable}): {problem['msg']}, not {problem['input']!r}")
        else:
            lines.append(f"settings: {problem['msg']}")
    return "; ".join(lines)
