"""Other rooms' settings, made from ours."""

from __future__ import annotations

from pi_model_proxy.config.environment import Environment
from pi_model_proxy.config.settings import Settings
from pi_model_proxy.sources import PiFilesSettings

__all__ = ["pi_files_settings"]


def pi_files_settings(settings: Settings, environment: Environment) -> PiFilesSettings:
    """Return what the source of pi's files must be told."""
    return PiFilesSettings(
        agent_dir=settings.agent_dir,
        environment=environment,
        subscriptions=settings.subscriptions,
        only_enabled_models=settings.only_enabled_models,
    )
