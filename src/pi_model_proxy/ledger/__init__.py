"""What was used and what it cost: the recorder seam and the JSONL log behind it."""

from pi_model_proxy.ledger.entry import Attempt, Entry, Recorder
from pi_model_proxy.ledger.jsonl import JsonlLog, LogSettings, log_line

__all__ = ["Attempt", "Entry", "JsonlLog", "LogSettings", "Recorder", "log_line"]
