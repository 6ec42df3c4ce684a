"""Exceptions of the provider, and what each of its error codes tells the agent."""


class SandboxUnavailable(Exception):
    """No sandbox can be had; the message says what is missing and how to mend it."""


class Violation(Exception):
    """The sandbox broke the protocol or passed a limit of it."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


# What the host alone finds out: a sandbox that claims one of these is not believed.
HOST_MESSAGES = {
    "wall_time": "The run took longer than {wall_seconds:g} s: do less per run, or ask "
    "for tools that answer faster",
    "cpu_time": "The script used more than {cpu_seconds:g} s of CPU: look for an "
    "endless loop, or let a tool filter before the data arrives",
    "output_limit": "The script printed far more than {stdout_bytes} bytes and was "
    "ended: print a summary and return the data",
    "too_many_calls_in_flight": "More than {calls_in_flight} tool calls were sent "
    "without waiting for replies: gather fewer at a time",
    "protocol_violation": "The script interfered with the channel to the host: use "
    "only the functions of `tools`",
    "sandbox_died": "The sandbox ended before the script did: look for os._exit, very "
    "deep recursion or a crash of the interpreter",
    "outside_subset": "The script needs more than the Python subset that runs without "
    "gVisor: use plain functions, dictionaries and the modules json, re, datetime, "
    "math, itertools, collections and functools",
    "gvisor_required": "A policy requires gVisor for this run, and this runner has "
    "none: ask an administrator to set up runsc, or run where it is",
    "cancelled": "The run was cancelled",
    "sandbox_unavailable": "No sandbox could be had: try again",
    "internal": "The gateway failed while it served a call of this run: try again, "
    "and tell the administrator if it stays",
}

# What the script's side may find out first, with the line; the host checks as well.
MESSAGES = HOST_MESSAGES | {
    "memory": "The script used more than {memory_mb} MiB of memory: keep fewer rows at "
    "a time",
    "tmp_full": "The script wrote more than {tmp_mb} MiB to /tmp: keep data in "
    "variables, or remove files that are no longer needed",
    "processes": "The script started more than {processes} threads, or a process: use "
    "asyncio.gather for parallel calls",
    "output_too_large": "The result is larger than {result_bytes} bytes: return fewer "
    "rows or fields",
    "message_too_large": "A message was larger than {message_bytes} bytes: send less, "
    "or in several calls",
    "too_many_calls": "The script made more than {calls} tool calls: use tools that "
    "take lists, or split the work into several runs",
    "not_json": "The result cannot be JSON: return only dict, list, str, numbers, "
    "bool and None",
    "syntax_error": "The script does not parse",
    "script_error": "The script raised an exception",
    "tool_error": "A tool call failed",
}
CODES = frozenset(MESSAGES)
RETRYABLE = frozenset({"sandbox_unavailable", "internal"})
