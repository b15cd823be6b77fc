"""What `doctor` looks at, topic by topic: each function takes what it needs and returns findings."""

from pi_model_proxy.cli.checkup.accounts import account_findings, command_findings
from pi_model_proxy.cli.checkup.address import address_findings
from pi_model_proxy.cli.checkup.clock import clock_findings
from pi_model_proxy.cli.checkup.files import file_findings, lock_findings
from pi_model_proxy.cli.checkup.finding import LEVELS, TOPICS, Finding, Level, found
from pi_model_proxy.cli.checkup.kept import database_findings, log_findings
from pi_model_proxy.cli.checkup.network import network_findings
from pi_model_proxy.cli.checkup.program import program_findings
from pi_model_proxy.cli.checkup.reach import reach_findings

__all__ = [
    "LEVELS",
    "TOPICS",
    "Finding",
    "Level",
    "account_findings",
    "address_findings",
    "clock_findings",
    "command_findings",
    "database_findings",
    "file_findings",
    "found",
    "lock_findings",
    "log_findings",
    "network_findings",
    "program_findings",
    "reach_findings",
]
