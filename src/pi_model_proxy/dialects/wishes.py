"""What of a caller's wish to think a target does not fulfil: listed in one way for every format."""

from __future__ import annotations

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.reasoning import LevelChoice, is_wish_lost
from pi_model_proxy.hub import Request

__all__ = ["list_unfulfilled"]


def list_unfulfilled(
    request: Request, choice: LevelChoice | None, losses: Losses, *, lost: bool = False, coarse: bool = False
) -> None:
    """List the wish, its level, or that thinking be hidden, where `choice` does not give it.

    Args:
        request: The caller's.
        choice: What `choose_level` made of the wish.
        losses: Where it is listed.
        lost: Whether the format cannot say `choice`, or there is no room for it.
        coarse: Whether the format says only that the model is to think, not how much.
    """
    wish = request.reasoning
    if is_wish_lost(wish, choice) or (lost and wish is not None):
        losses.wish()
        return
    if choice is None or wish is None:
        return
    if choice.clamped or (coarse and not choice.auto):
        losses.level()
    if choice.level != "off" and wish.visible == "none" and "reasoning.visible" in request.paths:
        losses.field("reasoning.visible")
