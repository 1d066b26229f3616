"""Pictures of pages that are small enough to be kept beside the code."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

from playwright.sync_api import Browser, Page

# A page has few colours: 256 of them, one byte a pixel, make a third of the size.
SHRINK = """async (given) => {
  const bitmap = await createImageBitmap(await (await fetch('data:image/png;base64,' + given)).blob());
  const {width, height} = bitmap;
  const ink = new OffscreenCanvas(width, height).getContext('2d');
  ink.drawImage(bitmap, 0, 0);
  const pixels = new Uint32Array(ink.getImageData(0, 0, width, height).data.buffer);

  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const colours = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([colour]) => colour);
  const parts = c => [c & 255, c >> 8 & 255, c >> 16 & 255];
  const apart = (a, b) => Math.hypot(...parts(a).map((part, i) => part - parts(b)[i]));
  // Shades too near to tell would crowd out what is rare and bright.
  const palette = [];
  for (const colour of colours)
    if (palette.length < 256 && palette.every(one => apart(colour, one) > 6)) palette.push(colour);
  const nearest = colour => palette.reduce((best, one, i) => {
    const far = apart(colour, one);
    return far < best.far ? {far, i} : best;
  }, {far: Infinity}).i;
  const places = new Map(colours.map(colour => [colour, nearest(colour)]));

  const lines = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) lines[y * (width + 1) + 1 + x] = places.get(pixels[y * width + x]);
  const packed = new Uint8Array(await new Response(
    new Blob([lines]).stream().pipeThrough(new CompressionStream('deflate'))).arrayBuffer());

  const crc = bytes => ~bytes.reduce((sum, byte) => {
    sum ^= byte;
    for (let i = 0; i < 8; i++) sum = sum >>> 1 ^ (sum & 1 && 0xEDB88320);
    return sum;
  }, -1) >>> 0;
  const number = n => [n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255];
  const chunk = (name, data) => {
    const body = Uint8Array.from([...name].map(c => c.charCodeAt(0)).concat([...data]));
    return [...number(data.length), ...body, ...number(crc(body))];
  };
  const file = Uint8Array.from([
    137, 80, 78, 71, 13, 10, 26, 10,
    ...chunk('IHDR', [...number(width), ...number(height), 8, 3, 0, 0, 0]),
    ...chunk('PLTE', palette.flatMap(parts)),
    ...chunk('IDAT', packed), ...chunk('IEND', [])]);
  let text = '';
  for (const byte of file) text += String.fromCharCode(byte);
  return btoa(text);
}"""

# The site of a test has another port each time.
WITHOUT_PORT = """() => {
  for (const field of document.querySelectorAll('input'))
    if (field.value.includes(location.host)) field.value = field.value.replace(location.host, 'site.example');
}"""


class Album:
    """A folder of pictures."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        self._folder = folder
        self._darkroom = browser.new_page()

    def keep(self, page: Page, name: str) -> None:
        page.evaluate(WITHOUT_PORT)
        taken = page.screenshot(full_page=True)
        shrunk = b64decode(self._darkroom.evaluate(SHRINK, b64encode(taken).decode()))
        self._folder.joinpath(f"{name}.png").write_bytes(min(taken, shrunk, key=len))
