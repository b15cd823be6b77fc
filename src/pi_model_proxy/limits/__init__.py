"""May this caller ask now? Pure: the clock is an argument."""

from pi_model_proxy.limits.window import WINDOW_S, SlidingWindow

__all__ = ["WINDOW_S", "SlidingWindow"]
