"""The catalog and the runs as stored."""

from gateway.models.catalog import Server, Tag, Tool, ToolVersion
from gateway.models.model_servers import ModelCall, ModelServer
from gateway.models.replays import PolicyReplay
from gateway.models.runs import Run, Task, ToolCall
from gateway.models.uses import ToolUse, ToolUseMark

__all__ = [
    "ModelCall",
    "ModelServer",
    "PolicyReplay",
    "Run",
    "Server",
    "Tag",
    "Task",
    "Tool",
    "ToolCall",
    "ToolUse",
    "ToolUseMark",
    "ToolVersion",
]
