"""The command `pi-model-proxy`: parse, call, print. Each sub-command is imported only when it is asked for."""

from pi_model_proxy.cli.main import main

__all__ = ["main"]
