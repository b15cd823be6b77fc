"""Asks any server that speaks chat, Messages, Responses, Gemini or Ollama whether it does so as specified.

It shares no code with our codecs and transports: a server of ours is judged as any other.
"""

from pi_model_proxy.conformance.checks import CHECKS, Check
from pi_model_proxy.conformance.client import Origin, Unreachable
from pi_model_proxy.conformance.page import as_html
from pi_model_proxy.conformance.profiles import PROFILES, listed_models, models_of
from pi_model_proxy.conformance.report import as_json, as_junit, as_table
from pi_model_proxy.conformance.run import DIALECTS, Cell, Plan, Result, run
from pi_model_proxy.conformance.sources import ABSENCES, Absence
from pi_model_proxy.conformance.trial import Models

__all__ = [
    "ABSENCES",
    "CHECKS",
    "DIALECTS",
    "PROFILES",
    "Absence",
    "Cell",
    "Check",
    "Models",
    "Origin",
    "Plan",
    "Result",
    "Unreachable",
    "as_html",
    "as_json",
    "as_junit",
    "as_table",
    "listed_models",
    "models_of",
    "run",
]
