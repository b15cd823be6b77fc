"""What was used and what it cost: the recorder seam and the JSONL log behind it."""

from pi_model_proxy.ledger.entry import Attempt, Entry, Recorder, moment_text
from pi_model_proxy.ledger.handover import HandOver
from pi_model_proxy.ledger.jsonl import JsonlLog
from pi_model_proxy.ledger.logfile import LineSink, LogFile, LogSettings

__all__ = [
    "Attempt",
    "Entry",
    "HandOver",
    "JsonlLog",
    "LineSink",
    "LogFile",
    "LogSettings",
    "Recorder",
    "moment_text",
]
