#!/usr/bin/env python3
"""A container registry that answers and has no image: what is asked for is not found, or forbidden under `private/`."""
import http.server


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.path.rstrip("/") == "/v2":
            status, body = 200, b"{}"
        elif "/private/" in self.path:
            status, body = 403, b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
        else:
            status, body = 404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = answer


http.server.ThreadingHTTPServer(("127.0.0.1", 5000), Registry).serve_forever()
