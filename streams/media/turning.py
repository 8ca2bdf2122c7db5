"""Frames as a viewer sees them: upright, with square pixels."""

from dataclasses import dataclass
from fractions import Fraction

import av.filter
from av.video.frame import VideoFrame
from PIL import Image

FILTERS = {90: ["transpose=cclock"], 180: ["hflip", "vflip"], 270: ["transpose=clock"]}
PILLOW = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


@dataclass
class Turn:
    """What has to be done to frames of ``stored`` pixels. ``degrees`` counter-clockwise: 0, 90, 180 or 270."""

    stored: tuple[int, int]
    degrees: int
    pixel_aspect: Fraction
    _graph: av.filter.Graph | None = None

    @classmethod
    def of(cls, frame: VideoFrame, pixel_aspect: Fraction) -> "Turn":
        """As the frame's display matrix says."""
        return cls((frame.width, frame.height), round(frame.rotation / 90) % 4 * 90, pixel_aspect)

    @property
    def is_none(self) -> bool:
        """Whether frames are upright as they are stored."""
        return self.degrees == 0

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as a viewer sees them."""
        width, height = max(1, round(self.stored[0] * self.pixel_aspect)), self.stored[1]
        return (height, width) if self.degrees in (90, 270) else (width, height)

    def applied(self, frame: VideoFrame, size: tuple[int, int]) -> VideoFrame:
        """The frame for coding, at ``size`` as a viewer sees it. Frames may change their size on the way."""
        width, height = size[::-1] if self.degrees in (90, 270) else size
        frame = frame.reformat(width, height, "yuv420p", threads=1)
        if self.is_none:
            return frame
        if self._graph is None:
            self._graph = self._graph_for(frame)
        self._graph.push(frame)
        turned = self._graph.vpull()
        assert isinstance(turned, VideoFrame)
        return turned

    def picture(self, frame: VideoFrame) -> Image.Image:
        """The frame as a picture, in sRGB as far as a video has a profile."""
        image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
        image = image.resize((max(1, round(frame.width * self.pixel_aspect)), frame.height))
        return image.transpose(PILLOW[self.degrees]) if self.degrees else image

    def _graph_for(self, frame: VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        nodes = [
            graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))
        ]
        for name in FILTERS[self.degrees]:
            kind, _, arguments = name.partition("=")
            nodes.append(graph.add(kind, arguments) if arguments else graph.add(kind))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        return graph
