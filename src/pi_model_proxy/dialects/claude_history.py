"""What Claude refuses in a conversation, at Anthropic and on Bedrock, beside what every upstream refuses."""

from __future__ import annotations

import msgspec

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.hub import ReasoningBlock, TextBlock, Turn

__all__ = ["finished_turns"]


def finished_turns(turns: tuple[Turn, ...], losses: Losses) -> list[Turn]:
    """Return the turns as Claude wants them: none ends in thinking, and the last not in whitespace."""
    finished: list[Turn] = []
    for turn in turns:
        blocks = list(turn.blocks)
        while blocks and isinstance(blocks[-1], ReasoningBlock):
            losses.path(blocks.pop().at, why="a turn cannot end in thinking")
        if blocks and turn is turns[-1] and turn.role == "assistant" and isinstance(blocks[-1], TextBlock):
            blocks[-1] = msgspec.structs.replace(blocks[-1], text=blocks[-1].text.rstrip())
        finished.append(msgspec.structs.replace(turn, blocks=tuple(blocks)))
    return finished
