"""Pictures and sounds as data URIs: PNG by zlib, FLAC by soundfile."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
import soundfile

from calibration.measures.spectral import log_mel

# Dark to light, so that level reads without colour vision; blue to red around white for differences.
LEVELS = ((0.0, (14, 17, 38)), (0.35, (76, 35, 105)), (0.65, (201, 71, 83)), (0.85, (246, 168, 85)),
          (1.0, (252, 253, 210)))  # fmt: skip
SIGNED = ((0.0, (33, 102, 172)), (0.5, (247, 247, 247)), (1.0, (178, 24, 43)))
RANGE = (-9.5, 1.5)
"""Nepers of log-mel magnitude from black to white."""
WORST = 2.0
"""Nepers of difference at full colour."""

Colours = tuple[tuple[float, tuple[int, int, int]], ...]


def audio(sound: npt.NDArray[np.floating[npt.NBitBase]], rate: int) -> str:
    """A waveform as the source of an audio element."""
    data = io.BytesIO()
    soundfile.write(data, np.asarray(sound, np.float32), rate, "PCM_16", format="FLAC")
    return _uri("audio/flac", data.getvalue())


def spectrogram(sound: npt.NDArray[np.floating[npt.NBitBase]], rate: int) -> str:
    """Log-mel spectrogram, low frequencies at the bottom."""
    low, high = RANGE
    return _png((log_mel(sound, rate).T[::-1] - low) / (high - low), LEVELS)


def difference(
    first: npt.NDArray[np.floating[npt.NBitBase]], second: npt.NDArray[np.floating[npt.NBitBase]], rate: int
) -> str | None:
    """Second minus first in log-mel, red where louder; None if their lengths differ by more than a frame."""
    if abs(len(first) - len(second)) > 256:
        return None
    size = min(len(first), len(second))
    apart = log_mel(second[:size], rate) - log_mel(first[:size], rate)
    return _png(0.5 + apart.T[::-1] / (2.0 * WORST), SIGNED)


def _png(values: npt.NDArray[np.float64], colours: Colours) -> str:
    """Values [rows, columns] from 0 to 1 as a PNG of one pixel each."""
    places = [place for place, _ in colours]
    clipped = np.clip(values, 0.0, 1.0)
    channels = [np.interp(clipped, places, [colour[k] for _, colour in colours]) for k in range(3)]
    pixels = np.stack(channels, axis=-1).astype(np.uint8)
    rows = np.concatenate([np.zeros((len(pixels), 1), np.uint8), pixels.reshape(len(pixels), -1)], axis=1)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    return _uri("image/png", b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
