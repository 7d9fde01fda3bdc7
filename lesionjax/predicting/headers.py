"""What an encoded image says of itself, read before anything is decoded.

A file of a kilobyte may claim gigabytes, so size and kind are known before the decoder sees it.
"""

from __future__ import annotations

import dataclasses
import struct

from data_builders import images
from data_builders.cleaning.encoded import jpeg_size
from data_builders.errors import UserError
from lesionjax.data.decode import DecodeError

FORMATS = ('JPEG', 'PNG', 'WebP', 'GIF', 'BMP')
MAX_BYTES = 256 * 2**20
_MAX_SCANS = 100  # of a progressive JPEG, which has about ten: the time to decode grows with them


@dataclasses.dataclass(frozen=True)
class Header:
  """Kind and size of an encoded image.

  Attributes:
    kind: one of `FORMATS`.
    height: pixels.
    width: pixels.
    notes: what of the file a prediction does not see, or sees converted; sentences without an end.
  """

  kind: str
  height: int
  width: int
  notes: tuple[str, ...] = ()


def read_header(data: bytes) -> Header:
  """Reads the header of an image.

  Args:
    data: the whole file.

  Returns:
    The Header, of at most `data_builders.images.MAX_PIXELS` pixels.

  Raises:
    DecodeError: empty, of an unknown kind, cut off, or too large; the message continues a sentence
      about the image.
  """
  if not data:
    raise DecodeError('is empty (0 bytes)')
  header = None
  try:
    for begins, reader in _READERS.items():
      if data.startswith(begins):
        header = reader(data)
        break
  except (struct.error, IndexError) as error:
    raise DecodeError('is cut off within its header') from error
  if header is None:
    raise DecodeError(
      f'is no {", ".join(FORMATS[:-1])} or {FORMATS[-1]} (it begins with {data[:4].hex(" ")})'
    )
  if min(header.height, header.width) < 1:
    raise DecodeError(f'claims {header.width} x {header.height} pixels')
  if header.height * header.width > images.MAX_PIXELS:
    raise DecodeError(
      f'claims {header.width} x {header.height} pixels, more than the {images.MAX_PIXELS:,} allowed'
    )
  return header


def _jpeg(data: bytes) -> Header:
  try:
    height, width, channels, bits = images.jpeg_frame(data, 'it')
  except UserError as error:
    raise DecodeError(str(error).partition(';')[0].replace('it is', 'is', 1)) from error
  if bits != 8:
    raise DecodeError(f'is a JPEG of {bits} bits a channel, which is not decoded')
  if data.count(b'\xff\xda') > _MAX_SCANS:
    raise DecodeError(f'is a JPEG of more than {_MAX_SCANS} scans')
  # Decoders go by the first frame, the walk to the end has seen the last.
  height, width = max(
    (height, width), jpeg_size(data) or (0, 0), key=lambda size: size[0] * size[1]
  )
  if len(data) < images.MIN_BYTES_PER_PIXEL * height * width:
    raise DecodeError(f'claims {width} x {height} pixels in {len(data):,} bytes, too few for them')
  notes = {1: ('grey: all three channels are alike',), 4: ('CMYK, converted to RGB',)}
  return Header('JPEG', height, width, notes.get(channels, ()))


def _png(data: bytes) -> Header:
  found = images.png_header(data)
  if found is None:
    raise DecodeError('is a truncated PNG')
  height, width, bits, kind = found
  notes = []
  if bits == 16:
    notes.append('16 bits a channel, reduced to 8')
  if kind in (0, 4):
    notes.append('grey: all three channels are alike')
  if kind in (4, 6):
    notes.append('transparency left out')
  if data.find(b'acTL', 0, data.find(b'IDAT')) > 0:
    notes.append('animated: its first frame')
  return Header('PNG', height, width, tuple(notes))


def _gif(data: bytes) -> Header:
  width, height, flags = struct.unpack('<HHB', data[6:11])
  frames, at = 0, 13 + _palette_bytes(flags)
  while frames < 2 and (block := data[at]) != 0x3B:  # trailer
    if block == 0x2C:  # image
      frames += 1
      at += 11 + _palette_bytes(data[at + 9])
    elif block == 0x21:  # extension
      at += 2
    else:
      raise DecodeError('is a damaged GIF')
    while length := data[at]:
      at += 1 + length
    at += 1
  notes = ('animated: its first frame',) if frames > 1 else ()
  return Header('GIF', height, width, notes)


def _palette_bytes(flags: int) -> int:
  return 3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0


def _webp(data: bytes) -> Header | None:
  if data[8:12] != b'WEBP':
    return None
  if struct.unpack('<I', data[4:8])[0] + 8 > len(data):
    raise DecodeError('is a truncated WebP')
  chunk = data[12:16]
  if chunk == b'VP8X':
    width, height = (int.from_bytes(data[at : at + 3], 'little') + 1 for at in (24, 27))
    animated = data[20] & 0x02
    return Header('WebP', height, width, ('animated: its first frame',) if animated else ())
  if chunk == b'VP8L':
    bits = struct.unpack('<I', data[21:25])[0]
    return Header('WebP', (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
  width, height = (side & 0x3FFF for side in struct.unpack('<HH', data[26:30]))
  return Header('WebP', height, width)


def _bmp(data: bytes) -> Header:
  old = struct.unpack('<I', data[14:18])[0] == 12
  width, height = struct.unpack('<HH', data[18:22]) if old else struct.unpack('<ii', data[18:26])
  return Header('BMP', abs(height), abs(width))  # negative: rows from the top


_READERS = {
  b'\xff\xd8': _jpeg,
  b'\x89PNG\r\n\x1a\n': _png,
  b'GIF8': _gif,
  b'RIFF': _webp,
  b'BM': _bmp,
}
