"""A small S3 on loopback: enough of the protocol to list, read, write and delete a folder's files.

python object_store.py ROOT

Serves and prints its address. Writers need a process of its own: pyarrow may hold the interpreter's lock while it writes.
Conditional writes (`If-None-Match: *`) and uploads in parts are as S3 documents them; Google's XML API is the same but
for the name of the condition.
"""

import hashlib
import re
import sys
import threading
import uuid
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

_GOOGLE_NEW = "x-goog-if-generation-match"
_MODIFIED = "2026-11-20T09:00:00.000Z"


def s3_options(endpoint: str) -> dict[str, str]:
    """Storage options that lead to the server at this address."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }


class ObjectStore:
    """Serves the files below a folder; its first level holds the buckets."""

    def __init__(self, root: Path) -> None:
        self.requests: list[str] = []
        outer, writing = self, threading.Lock()
        uploads: dict[str, dict[int, bytes]] = {}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else every answer waits 40 ms for an acknowledgement

            def do_HEAD(self):
                self._object(body=False)

            def do_GET(self):
                parts = urlsplit(self.path)
                query = parse_qs(parts.query, keep_blank_values=True)
                if "list-type" in query:
                    self._list(unquote(parts.path).strip("/"), query)
                else:
                    self._object(body=True)

            def _list(self, bucket, query):
                outer.requests.append(f"LIST {query.get('prefix', [''])[0]}")
                prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
                keys, folders = [], set()
                for path in sorted((root / bucket).rglob("*")):
                    key = path.relative_to(root / bucket).as_posix()
                    if not path.is_file() or not key.startswith(prefix) or key <= query.get("start-after", [""])[0]:
                        continue
                    head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
                    if found:
                        folders.add(f"{prefix}{head}{delimiter}")
                    else:
                        keys.append((key, path.stat().st_size))
                limit = int(query.get("max-keys", ["1000"])[0])
                contents = "".join(
                    f"<Contents><Key>{escape(key)}</Key><LastModified>{_MODIFIED}</LastModified><ETag>&quot;e&quot;</ETag>"
                    f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
                    for key, size in keys[:limit]
                )
                common = "".join(
                    f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders)
                )
                text = (
                    '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                    f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(keys) + len(folders)}</KeyCount>"
                    f"<MaxKeys>{limit}</MaxKeys><IsTruncated>false</IsTruncated>{contents}{common}</ListBucketResult>"
                )
                self._answer(200, text.encode(), {"Content-Type": "application/xml"})

            def _object(self, body):
                path = root / unquote(urlsplit(self.path).path).strip("/")
                outer.requests.append(
                    f"{self.command} {path.relative_to(root)} {self.headers.get('Range', '')}".strip()
                )
                if not path.is_file():
                    self._answer(200 if path.is_dir() and path.parent == root else 404, b"", {})
                    return
                data = path.read_bytes()
                headers = {"Last-Modified": "Fri, 20 Nov 2026 09:00:00 GMT", "ETag": '"e"', "Accept-Ranges": "bytes"}
                status, asked = 200, self.headers.get("Range")
                if asked and body:
                    first, _, last = asked.removeprefix("bytes=").partition("-")
                    end = min(int(last or len(data) - 1), len(data) - 1)
                    headers["Content-Range"] = f"bytes {first}-{end}/{len(data)}"
                    status, data = 206, data[int(first) : end + 1]
                self._answer(status, data, headers, body)

            def do_PUT(self):
                parts = urlsplit(self.path)
                query = parse_qs(parts.query)
                data = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append(f"PUT {unquote(parts.path).strip('/')}")
                if "uploadId" in query:
                    uploads[query["uploadId"][0]][int(query["partNumber"][0])] = data
                    self._answer(200, b"", {"ETag": f'"{hashlib.md5(data).hexdigest()}"'})
                else:
                    self._put(data)

            def do_POST(self):
                parts = urlsplit(self.path)
                query = parse_qs(parts.query, keep_blank_values=True)
                said = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                outer.requests.append(f"POST {unquote(parts.path).strip('/')}")
                if "delete" in query:
                    for key in re.findall("<Key>(.*?)</Key>", said):
                        (root / unquote(parts.path).strip("/") / unescape(key)).unlink(missing_ok=True)
                    self._answer(200, b"<DeleteResult></DeleteResult>", {"Content-Type": "application/xml"})
                elif "uploads" in query:
                    number = uuid.uuid4().hex
                    uploads[number] = {}
                    text = (
                        f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId></InitiateMultipartUploadResult>"
                    )
                    self._answer(200, text.encode(), {"Content-Type": "application/xml"})
                else:
                    made = uploads.pop(query["uploadId"][0])
                    self._put(
                        b"".join(data for _, data in sorted(made.items())),
                        '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>',
                    )

            def _put(self, data, said=""):
                path = root / unquote(urlsplit(self.path).path).strip("/")
                with writing:
                    new = self.headers.get("If-None-Match") == "*" or self.headers.get(_GOOGLE_NEW) == "0"
                    if new and path.is_file():
                        self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>", {})
                        return
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                self._answer(200, said.encode(), {"ETag": '"e"'})

            def do_DELETE(self):
                path = root / unquote(urlsplit(self.path).path).strip("/")
                outer.requests.append(f"DELETE {path.relative_to(root)}")
                path.unlink(missing_ok=True)
                self._answer(204, b"", {})

            def _answer(self, status, data, headers, body=True):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if body:
                    with suppress(BrokenPipeError):  # a reader that has all it wants hangs up
                        self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


if __name__ == "__main__":
    print(ObjectStore(Path(sys.argv[1])).endpoint, flush=True)
    threading.Event().wait()
