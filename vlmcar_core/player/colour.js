// Colours as checkers compute them, and as people read them.

// HSV as OpenCV gives it for uint8 (hue 0 to 179, the others 0 to 255), in its own fixed-point arithmetic: a threshold
// that is read off here holds in `cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)`, to the last bit.
function opencvHsv([red, green, blue]) {
  const value = Math.max(red, green, blue);
  const spread = value - Math.min(red, green, blue);
  if (!spread) return [0, 0, value];
  const saturation = (spread * Math.round((255 * 4096) / value) + 2048) >> 12;
  let hue = red - green + 4 * spread;
  if (value === red) hue = green - blue;
  else if (value === green) hue = blue - red + 2 * spread;
  hue = (hue * Math.round((180 * 4096) / (6 * spread)) + 2048) >> 12;
  return [hue < 0 ? hue + 180 : hue, saturation, value];
}

// Hue in degrees, saturation and value in percent, without OpenCV's rounding.
function plainHsv([red, green, blue]) {
  const value = Math.max(red, green, blue);
  const spread = value - Math.min(red, green, blue);
  if (!spread) return [0, 0, Math.round((value / 255) * 100)];
  let sixth = (red - green) / spread + 4;
  if (value === red) sixth = ((green - blue) / spread + 6) % 6;
  else if (value === green) sixth = (blue - red) / spread + 2;
  return [Math.round(sixth * 60) % 360, Math.round((spread / value) * 100), Math.round((value / 255) * 100)];
}

function colourWords(rgb) {
  const [hue, saturation, value] = plainHsv(rgb);
  return `RGB ${rgb.join(" ")} · HSV ${opencvHsv(rgb).join(" ")} (OpenCV), ${hue}° ${saturation} % ${value} %`;
}
