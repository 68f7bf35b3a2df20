"""URLs of strangers: the hostile ones are refused with a reason, and the server that they are after is never asked."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deployments.errors import CrossrayError, DeadlineExceeded, Unavailable
from deployments.fetching import Fetcher, FetchLimits
from deployments.fetching.addresses import why_not_public
from encoders.errors import InputError
from tests.unit.deployments.job_stack import JobStack, picture

MAX_BYTES = 10_000
PUBLIC = "93.184.216.34"

BY_THEIR_FORM = {
    "http://127.0.0.1/": "an address",
    "http://10.0.0.1/": "an address",
    "http://169.254.169.254/latest/meta-data/": "an address",
    "http://2130706433/": "an address",
    "http://017700000001/": "an address",
    "http://0x7f000001/": "an address",
    "http://0x7f.1/": "an address",
    "http://127.1/": "an address",
    "http://0177.0.0.01/": "an address",
    "http://127.0.0.1./": "an address",
    "http://[::1]/": "IPv6",
    "http://[::ffff:127.0.0.1]/": "IPv6",
    "http://[fd00:ec2::254]/": "IPv6",
    "http://[fe80::1%25eth0]/": "IPv6",
    "http://1::1/": "IPv6",
    "http://user:secret@good.example/": "user name",
    "http://good.example@127.0.0.1/": "user name",
    "http://good.example\\@127.0.0.1/": "backslash",
    "http://good.example /": "space",
    "http://good.example/\r\nHost: evil": "space",
    "http://１２７.0.0.1/": "not ASCII",
    "http://ⓛocalhost/": "not ASCII",
    "http://good。example/": "not ASCII",
    "http:///etc/passwd": "not a name",
    "http://good..example/": "not a name",
    "http://%31%32%37.0.0.1/": "not a name",
    "http:/good.example/": "does not parse",
    "//good.example/": "does not parse",
    "file:///etc/passwd": "scheme",
    "ftp://good.example/": "scheme",
    "gopher://good.example:70/_GET": "scheme",
    "data://text/plain,hi": "scheme",
    "http://good.example:22/": "port 22",
    "http://good.example:6379/": "port 6379",
    "http://good.example:http/": "port is no number",
    "http://good.example:80:80/": "IPv6",
}
BY_THEIR_ADDRESS = {
    "127.0.0.1": "loopback",
    "127.8.8.8": "loopback",
    "::1": "loopback",
    "0.0.0.0": "unspecified",
    "::": "unspecified",
    "10.1.2.3": "private",
    "172.16.0.9": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "not global",
    "100.100.100.200": "not global",
    "169.254.169.254": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fd00:ec2::254": "private",
    "fec0::1": "site-local",
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
    "240.0.0.1": "private",
    "255.255.255.255": "private",
    "192.0.2.1": "private",
    "168.63.129.16": "cloud",
    "192.88.99.1": "relay",
    "::ffff:10.0.0.1": "private",
    "::ffff:7f00:1": "loopback",
    "::7f00:1": "reserved|wraps",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a9fe:a9fe": "link-local",
    "64:ff9b:1::1": "reserved|private|NAT64",
    "2002:7f00:1::": "6to4",
    "2001:0:7f00:1::": "private|Teredo",
    "no-address": "not an address",
}


def limits(port: int = 80, **more: object) -> FetchLimits:
    return FetchLimits(hosts=("*",), ports=(80, 443, port), max_bytes=MAX_BYTES, **more)  # type: ignore[arg-type]


async def unresolved(host: str) -> list[str]:
    raise AssertionError(f"{host} was looked up")


@pytest.mark.parametrize(("url", "reason"), BY_THEIR_FORM.items())
async def test_refused_by_its_form(url: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        await Fetcher(limits(), resolve=unresolved, tls=ssl.create_default_context())(url)
    assert error.value.code == "url_refused"


@pytest.mark.parametrize(("address", "reason"), BY_THEIR_ADDRESS.items())
async def test_refused_by_its_address(address: str, reason: str) -> None:
    for answer in ([address], [PUBLIC, address], [address, PUBLIC]):

        async def resolve(host: str, answer: list[str] = answer) -> list[str]:
            return answer

        with pytest.raises(InputError, match=f"stands for .*, which is .*({reason})"):
            await Fetcher(limits(), resolve=resolve, tls=ssl.create_default_context())("http://evil.example/")


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111", f"::ffff:{PUBLIC}", "64:ff9b::101:101"])
def test_public_addresses(address: str) -> None:
    assert why_not_public(address) is None


@pytest.mark.parametrize(
    ("hosts", "host", "is_allowed"),
    [
        (("photos.example",), "photos.example", True),
        (("photos.example",), "PHOTOS.example.", True),
        (("photos.example",), "x.photos.example", False),
        (("photos.example",), "photos.example.evil.com", False),
        (("photos.example",), "xphotos.example", False),
        (("*.photos.example",), "x.photos.example", True),
        (("*.photos.example",), "photos.example", False),
        (("*.photos.example",), "evilphotos.example", False),
        ((), "photos.example", False),
    ],
)
async def test_only_listed_hosts(hosts: tuple[str, ...], host: str, is_allowed: bool) -> None:
    looked_up: list[str] = []

    async def resolve(name: str) -> list[str]:
        looked_up.append(name)
        return ["127.0.0.1"]

    with pytest.raises(InputError, match="loopback" if is_allowed else r"jobs\.urls\.hosts"):
        await Fetcher(FetchLimits(hosts), resolve=resolve, tls=ssl.create_default_context())(f"http://{host}/")
    assert bool(looked_up) == is_allowed


class Server:
    """A server on loopback that answers each path as it is told, and counts who asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.heads: list[bytes] = []
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            path = head.split()[1].decode()
            self.asked.append(path)
            await self._write(path, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _write(self, path: str, writer: asyncio.StreamWriter) -> None:
        name, _, rest = path.lstrip("/").partition("?")
        if name == "to":
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {rest}\r\nContent-Length: 0\r\n\r\n".encode())
        elif name == "loop":
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n")
        elif name == "huge":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        elif name == "endless":
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while True:
                writer.write(b"x" * 4096)
                await writer.drain()
        elif name == "drip":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        elif name == "silent":
            await asyncio.sleep(5)
        elif name == "bomb":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + b"\x1f\x8b" * 10)
        elif name == "status":
            writer.write(f"HTTP/1.1 {rest} No\r\nContent-Length: 0\r\n\r\n".encode())
        elif name == "garbage":
            writer.write(b"+PONG\r\n-ERR unknown command\r\n")
        elif name == "headers":
            writer.write(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 400_000 + b"\r\n\r\n")
        else:
            data = picture(1)
            head = f"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: {len(data)}\r\n\r\n"
            writer.write(head.encode() + data)
        await writer.drain()


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as one:
        yield one


def fetcher(server: Server, *, names: dict[str, list[str]] | None = None, **more: object) -> Fetcher:
    """One for which 127.0.0.1 is a public address, where photos.example is."""

    async def resolve(host: str) -> list[str]:
        return (names or {}).get(host, ["127.0.0.1"])

    def why_refused(address: str) -> str | None:
        return None if address == "127.0.0.1" else why_not_public(address)

    plain = ssl.create_default_context()
    return Fetcher(limits(server.port, **more), resolve=resolve, why_refused=why_refused, tls=plain)


async def test_an_image_arrives(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    fetch = fetcher(server)
    for _ in range(2):
        assert await fetch(f"http://photos.example:{server.port}/a.png?x=1#part") == picture(1)
    assert server.asked == ["/a.png?x=1"] * 2
    assert f"Host: photos.example:{server.port}".encode() in server.heads[1]
    assert b"cookie" not in server.heads[1].lower()


@pytest.mark.parametrize("target", ["/a;v=2", "/a;v=2/b;c?x=1;y=2", "/a%3Bb%2F..%2Fc", "/a/../b//c", "/?"])
async def test_what_was_checked_is_what_is_asked_for(server: Server, target: str) -> None:
    assert await fetcher(server)(f"http://photos.example:{server.port}{target}") == picture(1)
    assert server.asked == [target]


async def test_redirects_are_followed_and_each_is_checked(server: Server) -> None:
    at = f"http://photos.example:{server.port}"
    assert await fetcher(server)(f"{at}/to?{at}/to?/a.png") == picture(1)
    assert server.asked[-1] == "/a.png"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/to?http://127.0.0.1/", "an address"),
        ("/to?http://169.254.169.254/", "an address"),
        ("/to?http://inside.example/", "10.0.0.5, which is private"),
        ("/to?//[::1]/", "IPv6"),
        ("/to?file:///etc/passwd", "scheme"),
        ("/to?http://photos.example:6379/", "port 6379"),
        ("/to?http://a:b@photos.example/", "user name"),
        ("/loop", "more than 3 times"),
        ("/huge", "over the limit"),
        ("/endless", "over the limit"),
        ("/bomb", "compressed"),
    ],
)
async def test_what_a_server_does_is_refused(server: Server, path: str, reason: str) -> None:
    fetch = fetcher(server, names={"inside.example": ["10.0.0.5"]})
    with pytest.raises(InputError, match=reason) as error:
        await fetch(f"http://photos.example:{server.port}{path}")
    assert error.value.code == "url_refused"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/drip", DeadlineExceeded),
        ("/silent", DeadlineExceeded),
        ("/status?503", Unavailable),
        ("/garbage", Unavailable),
        ("/headers", Unavailable),
    ],
)
async def test_what_may_pass_is_for_another_attempt(server: Server, path: str, error: type[CrossrayError]) -> None:
    with pytest.raises(error):
        await fetcher(server, timeout_s=0.3)(f"http://photos.example:{server.port}{path}")


async def test_a_status_that_stays(server: Server) -> None:
    with pytest.raises(InputError, match="status 404") as error:
        await fetcher(server)(f"http://photos.example:{server.port}/status?404")
    assert error.value.code == "url_status"


async def test_a_name_that_changes_its_address(server: Server) -> None:
    """DNS rebinding: public when it is looked at, loopback a moment later. There is no later: it is looked up once."""
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])
    connected: list[str] = []

    async def resolve(host: str) -> list[str]:
        return next(answers)

    def why_refused(address: str) -> str | None:
        connected.append(address)
        return why_not_public(address)

    fetch = Fetcher(
        limits(server.port, timeout_s=0.3), resolve=resolve, why_refused=why_refused, tls=ssl.create_default_context()
    )
    url = f"http://rebind.example:{server.port}/"
    with pytest.raises((Unavailable, DeadlineExceeded)):
        await fetch(url)  # went to the public address, of which this machine knows nothing
    with pytest.raises(InputError, match="loopback"):
        await fetch(url)
    assert connected == [PUBLIC, "127.0.0.1"]
    assert server.asked == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of photos.example that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=photos.example", "-addext", "subjectAltName=DNS:photos.example", "-days", "2"]
    subprocess.run([*command, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


async def test_tls_is_verified_against_the_name(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)  # type: ignore[assignment]
    async with serving(context) as server:

        async def resolve(host: str) -> list[str]:
            return ["127.0.0.1"]

        trusting = ssl.create_default_context(cafile=certificate[0])
        fetch = Fetcher(limits(server.port), resolve=resolve, why_refused=lambda _: None, tls=trusting)
        assert await fetch(f"https://photos.example:{server.port}/a.png") == picture(1)
        assert asked == ["photos.example"]
        with pytest.raises(InputError, match="certificate"):
            await fetch(f"https://other.example:{server.port}/a.png")
        strict = Fetcher(
            limits(server.port), resolve=resolve, why_refused=lambda _: None, tls=ssl.create_default_context()
        )
        with pytest.raises(InputError, match="certificate"):
            await strict(f"https://photos.example:{server.port}/a.png")
        with pytest.raises(InputError, match="from https to something else"):
            await fetch(f"https://photos.example:{server.port}/to?http://photos.example/")


async def test_a_job_of_urls(server: Server, tmp_path: Path) -> None:
    stack = JobStack(tmp_path, fetch=fetcher(server))
    good = f"http://photos.example:{server.port}/a.png"
    job = await stack.create(urls=[good, "http://127.0.0.1/", f"http://photos.example:{server.port}/status?404"])
    await stack.work()
    (done,) = await stack.service.items(job.id, "done", -1, 5)
    assert (await stack.items.get(str(done.item_id))).payload.source == good
    errors = await stack.errors(job.id)
    assert list(errors.values()) == ["url_refused", "url_status"]
    await stack.close()
