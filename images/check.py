"""DNS and TLS from an empty root: the controller looks for its API server under a name that only a name server on
127.0.0.1:53 knows, and believes it only if its authority is among those of the root. Usage: check.py DIRECTORY"""
import http.server
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading

work = pathlib.Path(sys.argv[1])
root = work / "root"
NAME = "api.pgherd.test"
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=work)


openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
        "/CN=authority of the check", "-keyout", "ca.key", "-out", "ca.crt")
openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={NAME}", "-keyout",
        "server.key", "-out", "server.csr")
(work / "names").write_text(f"subjectAltName=DNS:{NAME}\nbasicConstraints=CA:FALSE\n")
openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
        "-extfile", "names", "-out", "server.crt")

asked = []


def answer_names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        query, peer = server.recvfrom(512)
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += query[at] + 1
        kind = struct.unpack(">H", query[at + 1:at + 3])[0]
        name, question = ".".join(labels), query[12:at + 5]
        known = name == NAME
        asked.append(name)
        found = known and kind == 1
        head = query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, int(found), 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([127, 0, 0, 1]) if found else b""
        server.sendto(head + question + record, peer)


seen = []


class Refuses(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.path)
        body = b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"no","code":403}'
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


refused = []


class Server(http.server.ThreadingHTTPServer):
    def get_request(self):
        try:
            return super().get_request()
        except ssl.SSLError as error:
            refused.append(str(error))
            raise


server = Server(("127.0.0.1", 0), Refuses)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(work / "server.crt", work / "server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=answer_names, daemon=True).start()
threading.Thread(target=server.serve_forever, daemon=True).start()

(root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
(root / "kubeconfig").write_text(f"""apiVersion: v1
kind: Config
current-context: c
clusters: [{{name: c, cluster: {{server: 'https://{NAME}:{server.server_address[1]}'}}}}]
users: [{{name: u, user: {{token: t}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
""")


def look():
    """Whether a request reaches the server within some seconds: the controller goes on asking, and is ended."""
    seen.clear()
    program = subprocess.Popen([shutil.which("chroot"), "--userspec=10001:10001", root, "/pgherd-controller", "run"],
                               env={"KUBECONFIG": "/kubeconfig"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    try:
        for line in program.stdout:
            lines.append(line.decode())
            if seen or len(lines) > 12:
                break
    finally:
        program.kill()
        program.wait()
    return bool(seen), "".join(lines)


known, said = look()
if known:
    sys.exit("an authority that is not in the image was believed")
if NAME not in asked:
    sys.exit(f"the name server was not asked:\n{said}")
if not any("unknown ca" in error for error in refused):
    sys.exit(f"the server was not refused for its authority: {refused}\n{said}")
authorities = root / "etc/ssl/certs/ca-certificates.crt"
authorities.write_text(authorities.read_text() + (work / "ca.crt").read_text())
known, said = look()
if not known:
    sys.exit(f"an authority of the root is not believed:\n{said}")
print("names are resolved by DNS, and the authorities of the root are believed, and no others")
