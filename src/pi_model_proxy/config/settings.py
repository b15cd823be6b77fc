"""Every setting, once: its type and default in `Settings`, everything else in `SETTINGS`.

File keys, flags, variables, the JSON Schema, the table in docs/configuration.md and the tree of
`pi-model-proxy config` are all read off these two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from pi_model_proxy.config.secret import Secret
from pi_model_proxy.config.values import (
    Aliases,
    Choice,
    FilePath,
    Kind,
    SecretText,
    Subscriptions,
    Text,
    TextList,
    WholeNumber,
    YesNo,
    bind_host,
    host_name,
    model_name,
    origin,
)

__all__ = ["KEY_FILE", "SETTINGS", "VARIABLE_PREFIX", "LogLevel", "PromptCache", "Setting", "Settings"]

VARIABLE_PREFIX: Final = "PI_MODEL_PROXY_"
DAY_MS: Final = 86_400_000
MIB: Final = 1024 * 1024

PromptCache = Literal["auto", "client"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in force; names are the file's in snake_case, paths are absolute."""

    port: int = 9876
    host: str = "127.0.0.1"
    api_key: Secret | None = None
    allowed_hosts: tuple[str, ...] = ()
    """Lower case, without port."""
    allowed_origins: tuple[str, ...] = ()
    """As browsers send them, lower case; `*` stands for all."""
    workers: int = 1
    max_body_bytes: int = 32 * MIB
    max_header_bytes: int = 64 * 1024
    max_connections: int = 0
    """0 = half of the descriptors that this process may open."""
    rate_limit: int = 0
    """Requests in a sliding 60 s; 0 = no limit."""
    default_model: str | None = None
    aliases: Mapping[str, str] = {}
    strict: bool = False
    prompt_cache: PromptCache = "auto"
    subscriptions: bool | tuple[str, ...] = True
    only_enabled_models: bool = False
    discover_local: bool = True
    refresh_catalog: bool = False
    demo: bool = False
    connect_timeout_ms: int = 10_000
    request_timeout_ms: int = 120_000
    total_timeout_ms: int = 0
    """0 = no limit."""
    header_timeout_ms: int = 15_000
    body_timeout_ms: int = 20_000
    keep_alive_timeout_ms: int = 75_000
    write_timeout_ms: int = 60_000
    """0 = no limit."""
    log_path: Path
    log_max_bytes: int = 50 * MIB
    log_keep: int = 3
    log_level: LogLevel = "info"
    db_path: Path = Path()
    """Of the one database file; an empty path is never in force, the loader puts in the default."""
    store_max_responses: int = 10_000
    """0 = no response is kept."""
    store_max_bytes: int = 256 * MIB
    store_max_age_hours: int = 720
    """Since a response was made or last gone on from."""
    keep_thinking: bool = True
    """Keep thinking for callers whose dialect cannot carry its tokens."""
    agent_dir: Path
    ca_file: Path | None = None


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know about one setting beyond its type and default."""

    name: str
    """The field of `Settings`."""
    group: str
    kind: Kind
    help: str
    """One or two sentences; the first says what it is."""
    default_text: str = ""
    """The default as one would write it, where it depends on the home folder."""
    also_variable: str = ""
    """Another program's variable that counts when ours is not set."""
    in_file: bool = True
    """False: asked for at each start, by flag or variable."""
    needs_restart: bool = False

    @property
    def key(self) -> str:
        """The name in the file, e.g. `requestTimeoutMs`."""
        return re.sub(r"_([a-z])", lambda match: match[1].upper(), self.name)

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return VARIABLE_PREFIX + self.name.upper()

    @property
    def default(self) -> object:
        """The JSON of the default; None when there is none."""
        return self.default_text or _DEFAULTS.get(self.name)

    @property
    def may_be_null(self) -> bool:
        """Whether `null` in the file means: not set."""
        return self.default is None


def _json_default(field: msgspec.structs.FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    if field.default is msgspec.NODEFAULT:
        return None
    return list(field.default) if isinstance(field.default, tuple) else field.default


_DEFAULTS: Final = {field.name: _json_default(field) for field in msgspec.structs.fields(Settings)}

ACCESS: Final = "Address and access"
MODELS: Final = "Models"
LIMITS: Final = "Timeouts"
LOG: Final = "Log"
STORE: Final = "Store"
FILES: Final = "Files"

KEY_FILE: Final = Setting(
    name="api_key_file",
    group=ACCESS,
    kind=FilePath(),
    help="File whose only line is the key. Unlike --api-key it does not show in process lists.",
)
"""Another way to give `apiKey`; no field of its own in `Settings`."""

SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        name="port",
        group=ACCESS,
        kind=WholeNumber(minimum=0, maximum=65_535, metavar="PORT"),
        help="TCP port to listen on. 0 takes any free one.",
        needs_restart=True,
    ),
    Setting(
        name="host",
        group=ACCESS,
        kind=Text(metavar="ADDRESS", accepts="a host name or an IP address", normalise=bind_host),
        help="Address to listen on. Any other than loopback needs apiKey.",
        needs_restart=True,
    ),
    Setting(
        name="api_key",
        group=ACCESS,
        kind=SecretText(),
        help="Key that callers must send. Without it, every program on this machine may ask.",
    ),
    KEY_FILE,
    Setting(
        name="allowed_hosts",
        group=ACCESS,
        kind=TextList(item=Text(normalise=host_name), accepts="a list of host names", metavar="NAMES"),
        help="Names besides localhost that callers may use in the Host header. Needs apiKey.",
    ),
    Setting(
        name="allowed_origins",
        group=ACCESS,
        kind=TextList(
            item=Text(normalise=origin),
            accepts="a list of origins like https://app.example",
            metavar="ORIGINS",
        ),
        help="Web pages, besides those of this machine, that may ask. * admits every page.",
    ),
    Setting(
        name="workers",
        group=ACCESS,
        kind=WholeNumber(minimum=1, maximum=64, unit="processes"),
        help="Processes that share the port. One carries thousands of streams; more are for many cores and heavy load. "
        "Takes effect at the next start.",
    ),
    Setting(
        name="max_body_bytes",
        group=ACCESS,
        kind=WholeNumber(minimum=1024, maximum=1024 * MIB, unit="bytes", metavar="BYTES"),
        help="Largest request body. A larger one is answered with 413.",
    ),
    Setting(
        name="max_header_bytes",
        group=ACCESS,
        kind=WholeNumber(minimum=4096, maximum=MIB, unit="bytes", metavar="BYTES"),
        help="Longest request line and headers together. Longer ones are answered with 431.",
    ),
    Setting(
        name="max_connections",
        group=ACCESS,
        kind=WholeNumber(minimum=0, maximum=1_000_000, unit="connections"),
        help="Most callers' connections at once; a new one takes the place of the one idle longest, or gets 503. "
        "0 is as many as the limit of open files allows.",
    ),
    Setting(
        name="rate_limit",
        group=ACCESS,
        kind=WholeNumber(minimum=0, maximum=1_000_000, unit="requests"),
        help="Most POST requests of all callers together in any 60 seconds. 0 is no limit.",
    ),
    Setting(
        name="default_model",
        group=MODELS,
        kind=Text(metavar="MODEL", accepts="the name of a model"),
        help="Model for requests that name none.",
    ),
    Setting(
        name="aliases",
        group=MODELS,
        kind=Aliases(target=Text(accepts="the name of a model", normalise=model_name)),
        help="Names of your own for models, each for a provider/model-id.",
    ),
    Setting(
        name="strict",
        group=MODELS,
        kind=YesNo(),
        help="Refuse a request that the model's provider cannot express in full, instead of dropping and listing fields.",
    ),
    Setting(
        name="prompt_cache",
        group=MODELS,
        kind=Choice(("auto", "client")),
        help='"auto" places cache marks as pi does for callers whose dialect has none; "client" leaves it to them.',
    ),
    Setting(
        name="subscriptions",
        group=MODELS,
        kind=Subscriptions(item=Text(accepts="the name of a provider")),
        help="Whether pi's subscription logins may be used: all, none, or those of the providers named.",
    ),
    Setting(
        name="only_enabled_models",
        group=MODELS,
        kind=YesNo(),
        help="Offer only what pi's own enabledModels setting selects.",
    ),
    Setting(
        name="discover_local",
        group=MODELS,
        kind=YesNo(),
        help="Look for Ollama, LM Studio, llama.cpp and vLLM on their usual ports of this machine and list their models.",
    ),
    Setting(
        name="refresh_catalog",
        group=MODELS,
        kind=YesNo(),
        help="Fetch newer model lists every four hours: from pi's public catalogue (pi.dev), OpenRouter, Radius. Never while "
        "PI_OFFLINE is set.",
    ),
    Setting(
        name="demo",
        group=MODELS,
        kind=YesNo(),
        help="Add the scripted demo/... models, which need no login and cost nothing.",
        in_file=False,
        needs_restart=True,
    ),
    Setting(
        name="connect_timeout_ms",
        group=LIMITS,
        kind=WholeNumber(minimum=1, maximum=600_000, unit="milliseconds", metavar="MS"),
        help="Longest wait for a connection to a provider.",
    ),
    Setting(
        name="request_timeout_ms",
        group=LIMITS,
        kind=WholeNumber(minimum=1, maximum=DAY_MS, unit="milliseconds", metavar="MS"),
        help="Longest wait for the first byte, longest silence after it, and the whole of an answer that is not streamed.",
    ),
    Setting(
        name="total_timeout_ms",
        group=LIMITS,
        kind=WholeNumber(minimum=0, maximum=DAY_MS, unit="milliseconds", metavar="MS"),
        help="Longest duration of an answer, streamed or not. 0 is no limit.",
    ),
    Setting(
        name="header_timeout_ms",
        group=LIMITS,
        kind=WholeNumber(minimum=100, maximum=DAY_MS, unit="milliseconds", metavar="MS"),
        help="Longest wait for the rest of a caller's request headers. After it comes 408.",
    ),
    Setting(
        name="body_timeout_ms",
        group=LIMITS,
        kind=WholeNumber(minimum=100, maximum=DAY_MS, unit="milliseconds", metavar="MS"),
        help="Longest pause in the middle of a caller's request body. After it, and when less than 1024 bytes a second "
        "come, there is 408.",
    ),
    Setting(
        name="keep_alive_timeout_ms",
        group=LIMITS,
        kind=WholeNumber(minimum=100, maximum=DAY_MS, unit="milliseconds", metavar="MS"),
        help="How long a caller's idle connection is kept for its next request.",
    ),
    Setting(
        name="write_timeout_ms",
        group=LIMITS,
        kind=WholeNumber(minimum=0, maximum=DAY_MS, unit="milliseconds", metavar="MS"),
        help="How long a caller may take nothing of an answer that waits for it before its connection is closed. 0 is no "
        "limit.",
    ),
    Setting(
        name="log_path",
        group=LOG,
        kind=FilePath(),
        default_text="~/.pi/model-proxy-log.jsonl",
        help="Request log, one JSON line a request. Never a prompt, never a key.",
    ),
    Setting(
        name="log_max_bytes",
        group=LOG,
        kind=WholeNumber(minimum=4096, maximum=1024 * 1024 * MIB, unit="bytes", metavar="BYTES"),
        help="Size at which the request log is put aside and begun anew.",
    ),
    Setting(
        name="log_keep",
        group=LOG,
        kind=WholeNumber(minimum=0, maximum=100, unit="files"),
        help="How many request logs that were put aside are kept.",
    ),
    Setting(
        name="log_level",
        group=LOG,
        kind=Choice(("debug", "info", "warning", "error")),
        help="What the server says on standard error while it runs.",
    ),
    Setting(
        name="db_path",
        group=STORE,
        kind=FilePath(),
        default_text="~/.pi/model-proxy.db",
        help="Database of what is kept between requests; made when there is something to keep.",
    ),
    Setting(
        name="store_max_responses",
        group=STORE,
        kind=WholeNumber(minimum=0, maximum=10_000_000, unit="responses"),
        help="Most responses, and most conversations, that are kept so that a later request can go on from them. 0 keeps "
        "none, whatever `store` says.",
    ),
    Setting(
        name="store_max_bytes",
        group=STORE,
        kind=WholeNumber(minimum=MIB, maximum=1024 * 1024 * MIB, unit="bytes", metavar="BYTES"),
        help="How much the responses and conversations that are kept may hold together; those used longest ago go first.",
    ),
    Setting(
        name="store_max_age_hours",
        group=STORE,
        kind=WholeNumber(minimum=1, maximum=1_000_000, unit="hours"),
        help="How long something is kept after it was last used.",
    ),
    Setting(
        name="keep_thinking",
        group=STORE,
        kind=YesNo(),
        help="Keep a model's thinking, with the tokens that it came with, for callers that do not send it back themselves.",
    ),
    Setting(
        name="agent_dir",
        group=FILES,
        kind=FilePath(metavar="FOLDER"),
        default_text="~/.pi/agent",
        also_variable="PI_CODING_AGENT_DIR",
        help="pi's agent folder, with auth.json and models.json.",
        needs_restart=True,
    ),
    Setting(
        name="ca_file",
        group=FILES,
        kind=FilePath(),
        also_variable="SSL_CERT_FILE",
        help="Certificates (PEM) to trust for providers, besides the system's.",
        needs_restart=True,
    ),
)
"""In the order of every list that is made from it."""
