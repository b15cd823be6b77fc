"""pi's credentials: reading them, resolving values, refreshing logins under pi's lock."""

from pi_model_proxy.credentials.auth_file import (
    ApiKeyCredential,
    AuthEntries,
    AuthFile,
    BrokenCredential,
    Credential,
    OAuthCredential,
    auth_path,
    is_refused_by_pi,
    parse_auth,
    parse_entry,
    parse_object,
)
from pi_model_proxy.credentials.auth_store import remove_entry, store_entry
from pi_model_proxy.credentials.auth_write import WriteRefused, finish_journal, journal_path, write_journal
from pi_model_proxy.credentials.clock import Clock
from pi_model_proxy.credentials.commands import CommandOutcome, Commands
from pi_model_proxy.credentials.lock import (
    HeldLock,
    LockLost,
    LockTimings,
    LockUnavailable,
    acquire_lock,
    lock_paths,
    release_held_locks,
)
from pi_model_proxy.credentials.oauth import Refresher, RefreshTimings
from pi_model_proxy.credentials.oauth_requests import Post
from pi_model_proxy.credentials.oauth_rows import (
    OAUTH_ROWS,
    OAuthRow,
    oauth_row,
    token_url,
    token_url_variable,
)
from pi_model_proxy.credentials.tracked_file import (
    Fault,
    FileRead,
    Malformed,
    TrackedFile,
    read_file,
    revision_of,
)
from pi_model_proxy.credentials.values import fill_template, is_command, missing_variables, variables_in

__all__ = [
    "OAUTH_ROWS",
    "ApiKeyCredential",
    "AuthEntries",
    "AuthFile",
    "BrokenCredential",
    "Clock",
    "CommandOutcome",
    "Commands",
    "Credential",
    "Fault",
    "FileRead",
    "HeldLock",
    "LockLost",
    "LockTimings",
    "LockUnavailable",
    "Malformed",
    "OAuthCredential",
    "OAuthRow",
    "Post",
    "RefreshTimings",
    "Refresher",
    "TrackedFile",
    "WriteRefused",
    "acquire_lock",
    "auth_path",
    "fill_template",
    "finish_journal",
    "is_command",
    "is_refused_by_pi",
    "journal_path",
    "lock_paths",
    "missing_variables",
    "oauth_row",
    "parse_auth",
    "parse_entry",
    "parse_object",
    "read_file",
    "release_held_locks",
    "remove_entry",
    "revision_of",
    "store_entry",
    "token_url",
    "token_url_variable",
    "variables_in",
    "write_journal",
]
