"""A hub on this machine: data sets with several revisions, behind the few addresses that the `datasets` client asks."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Files = Mapping[str, bytes]


def commit_of(name: str) -> str:
    """The commit that a revision's name stands for."""
    return hashlib.sha1(name.encode()).hexdigest()


@contextmanager
def fake_hub(data_set: str, revisions: Mapping[str, Files]) -> Iterator[str]:
    """Serve one data set; yields the hub's address. Revisions are known by their names and their commits."""
    by_name = {**revisions, **{commit_of(name): files for name, files in revisions.items()}}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            parts = path.removeprefix(f"/api/datasets/{data_set}").strip("/").split("/")
            resolved = path.removeprefix(f"/datasets/{data_set}/resolve/").split("/", 1)
            if path.startswith(f"/datasets/{data_set}/resolve/") and resolved[0] in by_name:
                content = by_name[resolved[0]].get(resolved[1])
                self._send(content, resolved[0]) if content is not None else self._missing("EntryNotFound")
            elif path.startswith(f"/api/datasets/{data_set}") and parts[0] in ("", "revision", "tree"):
                revision = parts[1] if len(parts) > 1 else "main"
                if revision not in by_name:
                    self._missing("RevisionNotFound")
                else:
                    folder = "/".join(parts[2:])
                    self._json(self._tree(revision, folder) if parts[0] == "tree" else self._info(revision), revision)
            else:
                self._missing("RepoNotFound")

        do_HEAD = do_GET  # noqa: N815

        def _info(self, revision: str) -> dict[str, Any]:
            names = [{"rfilename": name} for name in by_name[revision]]
            sha = revision if len(revision) == 40 else commit_of(revision)
            return {"id": data_set, "sha": sha, "siblings": names, "private": False, "gated": False, "tags": []}

        def _tree(self, revision: str, folder: str) -> list[dict[str, Any]]:
            """What lies in one folder: files, and folders in it."""
            prefix = f"{folder}/" if folder else ""
            found: dict[str, dict[str, Any]] = {}
            for name, content in by_name[revision].items():
                if not name.startswith(prefix):
                    continue
                inner, below, _ = name.removeprefix(prefix).partition("/")
                oid = hashlib.sha1(content).hexdigest()
                kind = {"type": "directory"} if below else {"type": "file", "size": len(content)}
                found[inner] = {**kind, "path": prefix + inner, "oid": oid}
            return list(found.values())

        def _json(self, value: object, revision: str) -> None:
            self._send(json.dumps(value).encode(), revision)

        def _send(self, content: bytes, revision: str) -> None:
            start, stop, status = 0, len(content) - 1, 200
            if wanted := self.headers.get("Range"):
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start, stop, status = int(first), min(int(last or stop), stop), 206
            body = content[start : stop + 1]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", revision if len(revision) == 40 else commit_of(revision))
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{stop}/{len(content)}")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _missing(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
