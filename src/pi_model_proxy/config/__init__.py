"""One typed tree of settings, where each value came from, and the only reader of the environment."""

from pi_model_proxy.config.checks import check_combinations, check_model_names
from pi_model_proxy.config.composed import pi_files_settings
from pi_model_proxy.config.environment import Environment, read_environment
from pi_model_proxy.config.layers import Origin
from pi_model_proxy.config.load import DEFAULT_FILE, Configuration, Inputs, load
from pi_model_proxy.config.problems import ConfigError, near_name, sentence
from pi_model_proxy.config.schema import SCHEMA_FILE, encode_schema, json_schema
from pi_model_proxy.config.secret import MASK, Secret
from pi_model_proxy.config.settings import SETTINGS, VARIABLE_PREFIX, LogLevel, PromptCache, Setting, Settings
from pi_model_proxy.config.values import Kind, YesNo, is_loopback_host, show
from pi_model_proxy.config.watch import CHECK_INTERVAL_S, SettingsWatcher

__all__ = [
    "CHECK_INTERVAL_S",
    "DEFAULT_FILE",
    "MASK",
    "SCHEMA_FILE",
    "SETTINGS",
    "VARIABLE_PREFIX",
    "ConfigError",
    "Configuration",
    "Environment",
    "Inputs",
    "Kind",
    "LogLevel",
    "Origin",
    "PromptCache",
    "Secret",
    "Setting",
    "Settings",
    "SettingsWatcher",
    "YesNo",
    "check_combinations",
    "check_model_names",
    "encode_schema",
    "is_loopback_host",
    "json_schema",
    "load",
    "near_name",
    "pi_files_settings",
    "read_environment",
    "sentence",
    "show",
]
