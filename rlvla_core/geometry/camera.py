"""Windows: the part of a camera's image that a policy looks at, whatever camera stands behind it."""

from dataclasses import dataclass, replace

from rlvla_core.environment import CameraSpec


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of an image, in shares of the image's sides."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0

    def inside(self, slack: float) -> bool:
        """Whether the image has all of it; `slack`: the share of a side by which it may stick out."""
        ends = (self.left + self.width, self.top + self.height)
        return min(self.left, self.top) >= -slack and max(ends) <= 1.0 + slack


WHOLE = Window()


def seen_through(camera: CameraSpec, window: Window, width: int, height: int) -> CameraSpec:
    """The camera whose image of `width` x `height` pixels is that window of `camera`'s. Another shape than the
    window's squeezes the image: fx and fy are scaled apart."""
    x, y = width / (window.width * camera.width), height / (window.height * camera.height)
    return replace(
        camera,
        width=width,
        height=height,
        fx=camera.fx * x,
        fy=camera.fy * y,
        cx=(camera.cx - window.left * camera.width) * x,
        cy=(camera.cy - window.top * camera.height) * y,
    )


def window_of(view: CameraSpec, camera: CameraSpec) -> Window:
    """The part of `camera`'s image that shows what `view` shows, by their intrinsics alone: the inverse of
    `seen_through`. It sticks out of the image where `camera` sees less than that."""
    x, y = camera.fx / view.fx, camera.fy / view.fy  # pixels of the camera in one of the view's
    return Window(
        left=(camera.cx - view.cx * x) / camera.width,
        top=(camera.cy - view.cy * y) / camera.height,
        width=view.width * x / camera.width,
        height=view.height * y / camera.height,
    )
