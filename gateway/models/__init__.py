"""The catalog and the runs as stored."""

from gateway.models.catalog import Server, Tool, ToolVersion
from gateway.models.runs import Run, Task, ToolCall

__all__ = ["Run", "Server", "Task", "Tool", "ToolCall", "ToolVersion"]
