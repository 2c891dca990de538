"""Small servers of Google's and Azure's storage on loopback: enough of both protocols to list and read a folder's files,
and of Azure's to write and delete them.

python cloud_servers.py ROOT REQUESTS

Prints its port. It must be a process of its own: pyarrow holds the interpreter's lock while it opens a file in GCS.
"""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ISO, HTTP = "2026-11-20T09:00:00.000Z", "Fri, 20 Nov 2026 09:00:00 GMT"
GOOGLE, AZURE = "/storage/v1/b/", "/account/"
AZURE_HEADERS = {"x-ms-version": "2024-08-04", "x-ms-request-id": "1", "ETag": '"0x8D"', "Last-Modified": HTTP}
BLOB_HEADERS = {
    "Content-Type": "text/plain",
    "x-ms-blob-type": "BlockBlob",
    "x-ms-creation-time": HTTP,
    "x-ms-lease-status": "unlocked",
    "x-ms-lease-state": "available",
    "x-ms-server-encrypted": "true",
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits 40 ms for an acknowledgement
    root: Path
    requests: Path
    writing = threading.Lock()
    blocks: ClassVar[dict[tuple[Path, str], bytes]] = {}

    def do_GET(self):
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        place, asked = unquote(parts.path), self.headers.get("x-ms-range") or self.headers.get("Range") or ""
        signed = (self.headers.get("Authorization") or "").partition(":")[0]
        with self.requests.open("a") as file:
            file.write(f"{self.command} {self.path} {asked} {signed}\n")
        if place.startswith(GOOGLE):
            bucket, _, name = place.removeprefix(GOOGLE).partition("/o")
            self._google(self.root / bucket, name.strip("/"), query)
        else:
            container, _, name = place.removeprefix(AZURE).partition("/")
            self._azure(self.root / container, name, query)

    do_HEAD = do_GET

    def do_PUT(self):
        """A blob of Azure: at once, a block of it, or the list of its blocks."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        data = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.root / unquote(parts.path).removeprefix(AZURE)
        if query.get("comp") == "block":
            self.blocks[path, query["blockid"]] = data
        else:
            if query.get("comp") == "blocklist":
                found = re.findall("<(?:Uncommitted|Latest)>(.*?)</", data.decode())
                data = b"".join(self.blocks.pop((path, block)) for block in found)
            with self.writing:
                if self.headers.get("If-None-Match") == "*" and path.is_file():
                    self._answer(409, b"", AZURE_HEADERS | {"x-ms-error-code": "BlobAlreadyExists"})
                    return
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        self._answer(201, b"", AZURE_HEADERS)

    def do_POST(self):
        """A batch of Azure, in which blobs are deleted."""
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        told = []
        for number, place in enumerate(re.findall(r"DELETE (\S+?)(?:\?\S*)? HTTP", asked)):
            (self.root / unquote(place).removeprefix(AZURE)).unlink(missing_ok=True)
            told.append(
                f"--answers\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\n"
                "HTTP/1.1 202 Accepted\r\nx-ms-request-id: 1\r\nx-ms-version: 2024-08-04\r\n\r\n\r\n"
            )
        text = f"{''.join(told)}--answers--\r\n"
        self._answer(202, text.encode(), AZURE_HEADERS | {"Content-Type": "multipart/mixed; boundary=answers"})

    def _names(self, bucket, prefix):
        found = [path.relative_to(bucket).as_posix() for path in sorted(bucket.rglob("*")) if path.is_file()]
        return [name for name in found if name.startswith(prefix)]

    def _google(self, bucket, name, query):
        if not bucket.is_dir() or (name and not (bucket / name).is_file()):
            problem = {"code": 404, "message": "not found", "errors": [{"reason": "notFound", "domain": "global"}]}
            self._answer(404, json.dumps({"error": problem}).encode(), {"Content-Type": "application/json"})
        elif query.get("alt") == "media":
            self._bytes((bucket / name).read_bytes(), {"x-goog-generation": "1", "x-goog-metageneration": "1"})
        else:
            told = [
                self._google_object(bucket, one) for one in ([name] if name else self._names(bucket, query["prefix"]))
            ]
            said = told[0] if name else {"kind": "storage#objects", "items": told}
            self._answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})

    def _google_object(self, bucket, name):
        size = str((bucket / name).stat().st_size)
        known = {"bucket": bucket.name, "generation": "1", "metageneration": "1", "updated": ISO, "timeCreated": ISO}
        return {"kind": "storage#object", "name": name, "id": f"{bucket.name}/{name}/1", "size": size, **known}

    def _azure(self, container, name, query):
        if "action" in query:  # of accounts that have folders; this one has none
            self._answer(400, b"", AZURE_HEADERS | {"x-ms-error-code": "HierarchicalNamespaceNotEnabled"})
        elif query.get("comp") == "list" and container.is_dir():
            self._azure_list(container, query)
        elif name and (container / name).is_file():
            self._bytes((container / name).read_bytes(), AZURE_HEADERS | BLOB_HEADERS)
        else:
            code = "BlobNotFound" if container.is_dir() else "ContainerNotFound"
            text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>not found</Message></Error>'
            self._answer(
                404, text.encode(), AZURE_HEADERS | {"x-ms-error-code": code, "Content-Type": "application/xml"}
            )

    def _azure_list(self, container, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        blobs, folders = [], set()
        for name in self._names(container, prefix):
            if name < query.get("startFrom", ""):
                continue
            head, deeper, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if deeper:
                folders.add(f"{prefix}{head}/")
                continue
            size = (container / name).stat().st_size
            blobs.append(
                f"<Blob><Name>{escape(name)}</Name><Properties><Creation-Time>{HTTP}</Creation-Time><Last-Modified>{HTTP}"
                f"</Last-Modified><Etag>0x8D</Etag><Content-Length>{size}</Content-Length><Content-Type>text/plain"
                "</Content-Type><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><LeaseStatus>unlocked"
                "</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties></Blob>"
            )
        common = "".join(f"<BlobPrefix><Name>{escape(one)}</Name></BlobPrefix>" for one in sorted(folders))
        text = (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{container.name}"><Prefix>'
            f"{escape(prefix)}</Prefix><Blobs>{''.join(blobs)}{common}</Blobs><NextMarker/></EnumerationResults>"
        )
        self._answer(200, text.encode(), AZURE_HEADERS | {"Content-Type": "application/xml"})

    def _bytes(self, data, headers):
        asked = self.headers.get("x-ms-range") or self.headers.get("Range")
        if not asked or self.command == "HEAD":
            self._answer(200, data, headers)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        end = min(int(last or len(data) - 1), len(data) - 1)
        place = {"Content-Range": f"bytes {first}-{end}/{len(data)}"}
        self._answer(206, data[int(first) : end + 1], headers | place)

    def _answer(self, status, data, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Handler.root, Handler.requests = Path(sys.argv[1]), Path(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
