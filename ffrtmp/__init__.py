"""ffrtmp distributes ffmpeg work over many hosts."""

__version__ = "0.1.0"
