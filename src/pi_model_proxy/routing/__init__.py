"""Whom to ask. Pure."""

from pi_model_proxy.routing.resolve import LEVELS, Choice, Directory, Named

__all__ = ["LEVELS", "Choice", "Directory", "Named"]
