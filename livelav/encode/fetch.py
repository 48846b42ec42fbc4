"""Downloads published encoder weights on the user's word: licence shown, resumed, checked, then put in place at once.

Knows where the weights lie on the network and what they must be; asks and reports through callbacks. Called by the
command line only, in its process; blocks until done.
"""

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO

from livelav.core import store
from livelav.core.errors import StorageError, WeightsError, nearest
from livelav.encode.encoder import fetched_path
from livelav.encode.weights import read_weights

_TIMEOUT_S = 30.0
_CHUNK_BYTES = 1 << 18
_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Source:
    """Where weights come from, and how to know them."""

    name: str
    url: str
    least_bytes: int
    most_bytes: int
    sha256: str  # the beginning of it; empty where the authors publish none
    licence: str


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        source.name: source
        for source in (
            Source(
                "encodec-24khz",
                "https://dl.fbaipublicfiles.com/encodec/v0/encodec_24khz-d7cc33bc.th",
                92_000_000,
                95_000_000,
                "d7cc33bc",  # the file's own name carries it
                "EnCodec's code is MIT; its authors (Meta) never stated a licence for these weights.",
            ),
            Source(
                "encodec-32khz",
                "https://huggingface.co/facebook/encodec_32khz/resolve/main/model.safetensors",
                233_000_000,
                239_000_000,
                "",
                "AudioCraft's weights (Meta) are CC BY-NC 4.0: not for commercial use. No checksum is published for"
                " this file; its size and structure are checked and its SHA-256 is noted down.",
            ),
        )
    }
)


def fetch(
    name: str,
    confirm: Callable[[str], bool],
    progress: Callable[[int, int], None],
    sources: Mapping[str, Source] = SOURCES,
) -> Path:
    """Downloads an encoder's weights to where `load_encoder(name)` finds them; returns that path.

    `confirm` is shown the licence and says whether to go on. `progress` is told (bytes here, bytes in all) again and
    again. A download that broke off is taken up where it stopped. Raises WeightsError where the name is unknown, the
    licence was declined, the network fails, or what came is not what it should be; StorageError where it cannot be
    kept.
    """
    if name not in sources:
        raise WeightsError(f"no encoder {name!r} to fetch; there are {', '.join(sources)}{nearest(name, sources)}")
    source, path = sources[name], fetched_path(name)
    host = _host(source.url)
    megabytes = source.most_bytes // 1_000_000
    if not confirm(f"{name}, up to {megabytes} MB from {host}. {source.licence}"):
        raise WeightsError(f"{name} was not fetched: its licence was declined; `--encoder embedded` needs no download")
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            _download(source, file, progress)
            file.flush()
            os.fsync(file.fileno())
        digest = _check(source, part)
        os.replace(part, path)
    except OSError as error:
        raise StorageError(f"cannot write {part}: {error.strerror}; make room or set LIVELAV_MODELS") from error
    card = {"name": name, "source": source.url, "sha256": digest, "licence": source.licence}
    store.write_json(path.with_suffix(".json"), card)
    return path


def _download(source: Source, file: IO[bytes], progress: Callable[[int, int], None]) -> None:
    """Appends to `file`, which stands at its end, what of the source is missing there."""
    have = file.tell()
    headers = {"User-Agent": "livelav"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = _opener().open(urllib.request.Request(source.url, headers=headers), timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is missing, or what is here is not the beginning: the check will tell
        raise WeightsError(
            f"{_host(source.url)} answered {error.code} for {source.name}; try again later, or give a file's path"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(source, have, error) from error
    with response:
        if have and response.status != http.client.PARTIAL_CONTENT:
            file.truncate(0)  # the server sends the whole file again
            have = 0
        total = have + int(response.headers.get("Content-Length") or source.most_bytes - have)
        while have < total and (chunk := _read(source, response, have)):
            file.write(chunk)
            have += len(chunk)
            progress(have, total)
            if have > source.most_bytes:
                return  # the check refuses it
    if have < total and response.headers.get("Content-Length"):
        raise _unreachable(source, have, EOFError("the connection ended early"))


def _read(source: Source, response: http.client.HTTPResponse, have: int) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(source, have, error) from error


def _unreachable(source: Source, have: int, error: Exception) -> WeightsError:
    reason = getattr(error, "reason", None) or error
    kept = f"the first {have / 1e6:.1f} MB are kept, " if have else ""
    return WeightsError(
        f"cannot download {source.name} from {_host(source.url)} ({reason}); {kept}check the network and run it again"
    )


def _check(source: Source, part: Path) -> str:
    """The file's SHA-256. Raises WeightsError, and forgets the download, where it is not what it should be."""
    size = part.stat().st_size
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    fault = ""
    if not source.least_bytes <= size <= source.most_bytes:
        fault = f"has {size} bytes where {source.least_bytes} to {source.most_bytes} are due"
    elif not digest.startswith(source.sha256):
        fault = f"has SHA-256 {digest[:16]}... where {source.sha256}... is due"
    else:
        try:
            read_weights(part)
        except WeightsError as error:
            fault = f"is not that encoder ({error})"
    if fault:
        part.unlink()
        raise WeightsError(f"what came as {source.name} {fault}; it was thrown away, run it again")
    return digest


def _host(url: str) -> str:
    """Raises WeightsError for anything but https; this machine itself may do without."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _HERE):
        raise WeightsError(f"{url[:100]} is not https; weights are fetched over https only")
    return host


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never out of https."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _host(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_HttpsRedirects)
