"""Colours that stay apart by their hue under shading, RGB in [0, 1]."""

Colour = tuple[float, float, float]

TABLE: Colour = (0.82, 0.82, 0.83)
BROWN: Colour = (0.45, 0.27, 0.12)
GREY: Colour = (0.45, 0.45, 0.47)

NAMED: dict[str, Colour] = {
    "red": (0.85, 0.08, 0.08),
    "green": (0.1, 0.65, 0.15),
    "blue": (0.12, 0.3, 0.9),
    "yellow": (0.95, 0.85, 0.05),
    "cyan": (0.1, 0.8, 0.85),
    "purple": (0.5, 0.1, 0.85),
    "pink": (0.95, 0.2, 0.65),
}
