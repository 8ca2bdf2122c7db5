"""A playlist by another name, in the place of a video, makes nobody open what it names."""

import socket
import threading
from pathlib import Path

import pytest

from streams.media.errors import BadMedia
from streams.media.recipe import Plan
from streams.media.video import make_video
from streams.media.video_source import DEMUXERS, Caps, open_as
from tests.videos import video


class Listener:
    """Whoever connects is remembered."""

    def __init__(self) -> None:
        self.visits = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            while True:
                visitor, _ = self._socket.accept()
                self.visits += 1
                visitor.close()
        except OSError:
            return

    def close(self) -> None:
        self._socket.close()


def playlists(port: int, secret: Path) -> dict[str, bytes]:
    address = f"http://127.0.0.1:{port}/x.ts"
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXTINF:1,\nfile://{secret}\n".encode(),
        "concat": f"ffconcat version 1.0\nfile '{secret}'\nfile '{address}'\n".encode(),
        "dash": f'<?xml version="1.0"?><MPD><BaseURL>{address}</BaseURL></MPD>'.encode(),
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n".encode(),
        "redirector": f"[Reference]\nRef1={address}\n".encode(),
    }


@pytest.mark.parametrize("kind", ["hls", "concat", "dash", "sdp", "redirector"])
def test_a_playlist_by_another_name_opens_nothing(tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret.mp4"
    video(secret, frames=3)
    listener = Listener()
    (tmp_path / "a.mp4").write_bytes(playlists(listener.port, secret)[kind])

    with pytest.raises(BadMedia, match="no MP4"):
        make_video(tmp_path / "a.mp4", tmp_path / "out.mp4", Plan(25_000_000), Caps(60, 1000, 4_000_000))
    for container in DEMUXERS:  # also where the first bytes had deceived us
        with pytest.raises(BadMedia, match="cannot be read"), open_as(tmp_path / "a.mp4", container) as opened:
            list(opened.demux())
    listener.close()

    assert listener.visits == 0


@pytest.mark.parametrize("demuxer", ["hls", "concat"])
def test_a_demuxer_that_opens_other_files_gets_none(
    tmp_path: Path, demuxer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.ts"
    video(secret, frames=3, sound=None)
    listener = Listener()
    (tmp_path / "a.mp4").write_bytes(playlists(listener.port, secret)[demuxer])
    monkeypatch.setitem(DEMUXERS, "MP4", demuxer)

    with pytest.raises((BadMedia, PermissionError)), open_as(tmp_path / "a.mp4", "MP4") as opened:
        for packet in opened.demux():
            assert packet.size == 0
    listener.close()

    assert listener.visits == 0
