"""A small model server that speaks OpenAI's protocol: its answers are deterministic.

It answers in one sentence from the last message, and says how many tokens that took.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODELS = ("orchid-large", "orchid-small")
_SENTENCE = (
    "The figures agree with what was asked: one script answers it, so call the tools "
    "in it, join there, and return only the rows that matter."
)
_WORDS = _SENTENCE.split()
_CACHED_FROM = 64


def answer_to(body: dict[str, Any]) -> list[str]:
    """The words of the answer: the same question always gets the same one."""
    asked = json.dumps(body.get("messages", []), sort_keys=True)
    digest = hashlib.sha256(asked.encode()).digest()
    most = body.get("max_tokens") or body.get("max_completion_tokens") or len(_WORDS)
    return _WORDS[: min(8 + digest[0] % (len(_WORDS) - 7), int(most))]


def usage_of(body: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """Its tokens, as OpenAI reports them; long questions are partly cached."""
    asked = json.dumps(body.get("messages", []))
    prompt, written = max(1, len(asked) // 4), len(words)
    reasoning = written // 3 if "large" in str(body.get("model")) else 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written + reasoning,
        "total_tokens": prompt + written + reasoning,
        "prompt_tokens_details": {
            "cached_tokens": prompt // 2 if prompt > _CACHED_FROM else 0
        },
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


class Handler(BaseHTTPRequestHandler):
    """Answers GET /v1/models and POST /v1/chat/completions."""

    protocol_version = "HTTP/1.1"
    models: Sequence[str] = MODELS

    def do_GET(self) -> None:
        """The models that are offered."""
        shown = [{"id": name, "object": "model"} for name in self.models]
        self.reply(200, {"object": "list", "data": shown})

    def do_POST(self) -> None:
        """One answer, whole or as a stream."""
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length))
        if body.get("model") not in self.models:
            self.reply(404, {"error": {"message": "no such model", "type": "x"}})
        elif body.get("stream"):
            self.stream(self.chunks(body))
        else:
            self.reply(200, self.whole(body))

    def whole(self, body: dict[str, Any]) -> dict[str, Any]:
        """A whole answer."""
        words = answer_to(body)
        message = {"role": "assistant", "content": " ".join(words)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {
            **self.head(body, "chat.completion"),
            "choices": [choice],
            "usage": usage_of(body, words),
        }

    def chunks(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The same answer word by word; the usage where it is asked for."""
        words = answer_to(body)
        head = self.head(body, "chat.completion.chunk")
        for word in words:
            delta = {"role": "assistant", "content": f"{word} "}
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            yield {**head, "choices": [choice]}
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        yield {**head, "choices": [end]}
        if (body.get("stream_options") or {}).get("include_usage"):
            yield {**head, "choices": [], "usage": usage_of(body, words)}

    def head(self, body: dict[str, Any], kind: str) -> dict[str, Any]:
        """What an answer and each of its chunks begin with."""
        number = time.time_ns()
        return {
            "id": f"chatcmpl-{number:x}",
            "object": kind,
            "created": number // 10**9,
            "model": body["model"],
        }

    def reply(self, status: int, body: dict[str, Any]) -> None:
        """Send a JSON body."""
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, chunks: Iterator[dict[str, Any]]) -> None:
        """Send server-sent events and their end."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            self.event(json.dumps(chunk))
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, data: str) -> None:
        """Send one event as one chunk of HTTP."""
        content = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""


def main(arguments: Sequence[str]) -> int:
    """Serve on loopback until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8090)
    options = parser.parse_args(arguments)
    with ThreadingHTTPServer(("127.0.0.1", options.port), Handler) as server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
