"""Fetching weights from a server of our own: resumed, checked, in place at once or not at all."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import encodec_oracle as oracle
import pytest
from safetensors.numpy import save

from livelav.core.errors import LivelavError, WeightsError
from livelav.encode.encoder import card, fetched_path, load_encoder
from livelav.encode.fetch import SOURCES, Source, fetch

NAME = "encodec-24khz"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file, with ranges; the server object says how it misbehaves."""

    server: "_Server"

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://example.com/weights")
            self.end_headers()
            return
        if self.path != "/weights":
            self.send_error(404)
            return
        asked = self.headers.get("Range") if self.server.knows_ranges else None
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        rest = self.server.content[start:]
        if asked and not rest:
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.breaks_after])

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class _Server(http.server.ThreadingHTTPServer):
    content = b""
    breaks_after: int | None = None
    knows_ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ranges: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}/weights"


@pytest.fixture(scope="module")
def weights() -> bytes:
    return save(oracle.state_dict(oracle.build(0, n_filters=4, causal=True)))


@pytest.fixture
def server(weights: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    monkeypatch.setenv("LIVELAV_MODELS", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with _Server() as server:
        server.content = weights
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="weights server")
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(server: _Server, sha256: str | None = None, url: str | None = None, yes: bool = True) -> Path:
    size, digest = len(server.content), hashlib.sha256(server.content).hexdigest()
    source = Source(NAME, url or server.url, size, size, digest[:8] if sha256 is None else sha256, "A licence.")
    return fetch(NAME, lambda text: yes and "A licence." in text, lambda have, total: None, {NAME: source})


def left_behind() -> list[str]:
    folder = fetched_path(NAME).parent
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_what_was_fetched_can_be_loaded(server: _Server, weights: bytes) -> None:
    path = run(server)
    assert path.read_bytes() == weights
    assert load_encoder("auto").name == NAME
    assert card(NAME)["sha256"] == hashlib.sha256(weights).hexdigest()
    assert left_behind() == ["encodec-24khz.json", "encodec-24khz.th"]


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_broken_download_is_taken_up_again(server: _Server, weights: bytes, knows_ranges: bool) -> None:
    server.breaks_after, server.knows_ranges = 100_000, knows_ranges
    with pytest.raises(WeightsError, match=r"0\.1 MB are kept"):
        run(server)
    assert left_behind() == ["encodec-24khz.th.part"]
    server.breaks_after = None
    assert run(server).read_bytes() == weights
    assert server.ranges == [None, "bytes=100000-"]


def test_a_whole_part_is_only_checked(server: _Server, weights: bytes) -> None:
    part = fetched_path(NAME).with_name("encodec-24khz.th.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(weights)
    assert run(server).read_bytes() == weights


def test_a_wrong_hash_is_thrown_away(server: _Server) -> None:
    with pytest.raises(WeightsError, match=r"SHA-256 .* where 00000000\.\.\. is due"):
        run(server, sha256="00000000")
    assert left_behind() == []


def test_a_wrong_size_or_another_file_is_thrown_away(server: _Server, weights: bytes) -> None:
    server.content = b"<html>sign in</html>" * 100
    with pytest.raises(WeightsError, match="is not that encoder"):
        run(server)
    source = Source(NAME, server.url, len(weights), len(weights), "", "A licence.")
    for content in (weights[:-1], weights + b"x"):
        server.content = content
        with pytest.raises(WeightsError, match=r"has \d+ bytes"):
            fetch(NAME, lambda _: True, lambda have, total: None, {NAME: source})
    assert left_behind() == []


def test_without_a_yes_nothing_is_asked_of_the_network(server: _Server) -> None:
    with pytest.raises(WeightsError, match="declined"):
        run(server, yes=False)
    assert server.ranges == []
    assert left_behind() == []


def test_network_faults_are_one_clear_line(server: _Server) -> None:
    with pytest.raises(WeightsError, match="answered 404"):
        run(server, url=server.url.replace("weights", "elsewhere"))
    with pytest.raises(WeightsError, match="not https"):
        run(server, url=server.url.replace("weights", "away"))
    with pytest.raises(WeightsError, match="not https"):
        run(server, url="http://example.com/weights")
    with _Server() as closed:
        url = closed.url
    with pytest.raises(WeightsError, match="check the network") as caught:
        run(server, url=url)
    assert "\n" not in str(caught.value)


def test_an_unwritable_folder_is_said(server: _Server, tmp_path: Path) -> None:
    (tmp_path / "encoders").write_text("a file where the folder should be")
    with pytest.raises(LivelavError, match="cannot write"):
        run(server)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(WeightsError, match="did you mean 'encodec-24khz'"):
        fetch("encodec-24", lambda _: True, lambda have, total: None)


def test_published_sources_are_https_and_bounded() -> None:
    for source in SOURCES.values():
        assert source.url.startswith("https://")
        assert 0 < source.least_bytes < source.most_bytes < 300_000_000
        assert source.licence
