"""The geometry of windows that slide over images: of convolutions and of pooling."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where the windows of an image lie.  Padding is (top, left, bottom, right)."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns from the first to the last tap of a window."""
        (kh, kw), (dy, dx) = self.kernel, self.dilation
        return (kh - 1) * dy + 1, (kw - 1) * dx + 1

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of windows in an image; each at least 1 where the window fits."""
        top, left, bottom, right = self.padding
        (rh, rw), (sy, sx) = self.reach, self.stride
        return (height + top + bottom - rh) // sy + 1, (width + left + right - rw) // sx + 1

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the padded image that windows cover."""
        (rows, columns), (rh, rw) = self.out_size(height, width), self.reach
        return (rows - 1) * self.stride[0] + rh, (columns - 1) * self.stride[1] + rw

    def taps(self, rows: int, columns: int) -> list[tuple[int, int, slice, slice]]:
        """(ky, kx, rows, columns of the padded image that this tap sees), row by row."""
        (kh, kw), (dy, dx), (sy, sx) = self.kernel, self.dilation, self.stride
        return [
            (
                ky, kx,
                slice(ky * dy, ky * dy + (rows - 1) * sy + 1, sy),
                slice(kx * dx, kx * dx + (columns - 1) * sx + 1, sx),
            )
            for ky in range(kh)
            for kx in range(kw)
        ]  # fmt: skip
