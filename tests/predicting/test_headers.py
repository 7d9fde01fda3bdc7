"""What headers say: kinds, sizes, and files that lie about theirs."""

from __future__ import annotations

import struct

import pytest

from lesionjax.data.decode import DecodeError
from lesionjax.predicting.headers import read_header
from tests.predicting import messy


@pytest.mark.parametrize(
  ('kind', 'options'),
  [
    ('JPEG', {}), ('JPEG', {'progressive': True}), ('PNG', {}), ('GIF', {}), ('BMP', {}),
    ('WEBP', {}), ('WEBP', {'lossless': True}), ('WEBP', {'exif': b'Exif\0\0' + bytes(20)}),
  ],
)  # fmt: skip
def test_sizes_are_read_from_every_kind(kind, options):
  header = read_header(messy.encoded(kind, **options))
  assert (header.kind.upper(), header.height, header.width) == (kind, 72, 96)
  assert header.notes == ()


@pytest.mark.parametrize('kind', ['GIF', 'WEBP', 'PNG'])
def test_an_animation_says_that_its_first_frame_is_taken(kind):
  assert read_header(messy.animated(kind)).notes == ('animated: its first frame',)


def test_what_is_converted_is_said():
  assert read_header(messy.cmyk()).notes == ('CMYK, converted to RGB',)
  assert read_header(messy.deep_png()).notes == ('16 bits a channel, reduced to 8',)


@pytest.mark.parametrize('name', list(messy.BAD))
def test_bad_bytes_are_told_in_words(name):
  with pytest.raises(DecodeError, match=r'^(is|claims) '):
    read_header(messy.BAD[name])


@pytest.mark.parametrize(
  'data',
  [
    b'BM' + bytes(12) + struct.pack('<Iii', 40, 20_000, -20_000),
    b'GIF89a' + struct.pack('<HHBBB', 65_535, 65_535, 0, 0, 0) + b'\x3b',
    b'RIFF' + struct.pack('<I', 22) + b'WEBPVP8X' + struct.pack('<II', 10, 0) + b'\xff' * 6,
    messy.bomb_png(),
    messy.bomb_png(1, 2**31 - 1),
  ],
  ids=['bmp', 'gif', 'webp', 'png', 'strip'],
)
def test_a_file_of_a_few_bytes_that_claims_gigabytes_is_not_decoded(data):
  with pytest.raises(DecodeError, match=r'claims \d+ x \d+ pixels, more than the 100,000,000'):
    read_header(data)


def test_a_second_frame_header_hides_no_size():
  """A decoder goes by the first, a walk to the end sees the last."""
  small = messy.encoded('JPEG')
  at = small.index(b'\xff\xc0')
  length = 2 + int.from_bytes(small[at + 2 : at + 4], 'big')
  large = bytearray(small[at : at + length])
  large[5:9] = struct.pack('>HH', 50_000, 50_000)
  with pytest.raises(DecodeError, match='claims 50000 x 50000'):
    read_header(small[:at] + bytes(large) + small[at:])


def test_a_jpeg_of_endless_scans_is_refused():
  data = messy.encoded('JPEG')
  at = data.index(b'\xff\xda')
  scan = data[at:-2]
  with pytest.raises(DecodeError, match='more than 100 scans'):
    read_header(data[:-2] + 100 * scan + b'\xff\xd9')
