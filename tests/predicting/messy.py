"""Folders of good and bad image files, with what must become of each."""

from __future__ import annotations

import io
import os
import pathlib
import struct
import zlib

import cv2
import numpy as np
from PIL import Image


def photograph(seed: int = 0, size: tuple[int, int] = (72, 96)) -> np.ndarray:
  """A dark blob on skin, uint8 [h, w, 3] RGB."""
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
  inside = np.hypot(x - rng.uniform(-0.2, 0.2), y) < rng.uniform(0.3, 0.6)
  image = np.where(inside[..., None], [110, 70, 60], [215, 175, 155]) + rng.normal(0, 6, (*size, 3))
  return np.clip(image, 0, 255).astype(np.uint8)


def encoded(kind: str, seed: int = 0, **options) -> bytes:
  """A photograph as a file of that kind, such as 'JPEG'."""
  buffer = io.BytesIO()
  Image.fromarray(photograph(seed)).save(buffer, kind, **options)
  return buffer.getvalue()


def animated(kind: str) -> bytes:
  frames = [Image.fromarray(photograph(seed)) for seed in (0, 1)]
  buffer = io.BytesIO()
  frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=100)
  return buffer.getvalue()


def cmyk() -> bytes:
  buffer = io.BytesIO()
  Image.fromarray(photograph()).convert('CMYK').save(buffer, 'JPEG', quality=95)
  return buffer.getvalue()


def deep_png() -> bytes:
  """16 bits a channel."""
  return cv2.imencode('.png', photograph()[..., ::-1].astype(np.uint16) * 257)[1].tobytes()


def bomb_png(width: int = 60_000, height: int = 60_000) -> bytes:
  """A few bytes that claim gigabytes."""

  def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

  header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
  body = chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b'')
  return b'\x89PNG\r\n\x1a\n' + body


def bomb_jpeg() -> bytes:
  """A JPEG whose frame header was changed to 60,000 x 60,000."""
  data = bytearray(encoded('JPEG'))
  at = data.index(b'\xff\xc0')
  data[at + 5 : at + 9] = struct.pack('>HH', 60_000, 60_000)
  return bytes(data)


GOOD = {
  'a.jpg': encoded('JPEG'),
  'a.png': encoded('PNG', 1),
  'deeper/a.jpg': encoded('JPEG', 2),
  'capitals.JPG': encoded('JPEG', 3),
  'b.webp': encoded('WEBP', 4, lossless=True),
  'c.bmp': encoded('BMP', 5),
  'd.gif': encoded('GIF', 6),
  'moving.gif': animated('GIF'),
  'moving.webp': animated('WEBP'),
  'moving.png': animated('PNG'),
  'cmyk.jpg': cmyk(),
  'deep.png': deep_png(),
  'wrong_ending.jpg': encoded('PNG', 7),
  '=1+1.jpg': encoded('JPEG', 8),
  '@sum.jpg': encoded('JPEG', 9),
  '<img src=x onerror=alert(1)>.jpg': encoded('JPEG', 10),
  '<script>alert(1)<\u2215script>.png': encoded('PNG', 11),
  'new\nline.jpg': encoded('JPEG', 12),
  'M\u00fcller "quoted", 1.jpg': encoded('JPEG', 13),
  'point.png': cv2.imencode('.png', np.full((1, 1, 3), 90, np.uint8))[1].tobytes(),
  'strip.png': cv2.imencode('.png', np.full((2, 3000, 3), 90, np.uint8))[1].tobytes(),
}
BAD = {
  'truncated.jpg': encoded('JPEG')[:-400],
  'truncated.png': encoded('PNG')[:-400],
  'truncated.webp': encoded('WEBP')[:-200],
  'random.jpg': np.random.default_rng(0).bytes(3000),
  'empty.jpg': b'',
  'bomb.png': bomb_png(),
  'bomb.jpg': bomb_jpeg(),
  'text.png': b'<html>no image</html>',
  'begins.jpg': b'\xff\xd8\xff\xe0',
  'begins.gif': b'GIF89a\x01',
  'begins.bmp': b'BM\x00',
  'begins.webp': b'RIFF\xff\x00\x00\x00WEBPVP8 ',
}


def fill(folder: pathlib.Path) -> None:
  """Writes all of them, and what is no file at all."""
  for name, data in (GOOD | BAD).items():
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
  (folder / 'directory.jpg').mkdir()
  (folder / 'directory.jpg' / 'inside.jpg').write_bytes(GOOD['a.jpg'])
  (folder / 'loop.jpg').symlink_to('loop.jpg')
  (folder / 'gone.jpg').symlink_to('nowhere.jpg')
  (folder / 'round').symlink_to('.', target_is_directory=True)
  os.mkfifo(folder / 'pipe.jpg')
  (folder / 'notes.txt').write_text('no image')
  with open(os.path.join(os.fsencode(folder), b'latin\xe9.jpg'), 'wb') as file:
    file.write(GOOD['a.jpg'])


NO_FILES = ('directory.jpg', 'loop.jpg', 'gone.jpg', 'pipe.jpg')
