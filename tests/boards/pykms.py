"""Stands in for the module of that name that picamera2 imports for a preview on a screen, which is never opened."""


class _Names(type):
    def __getattr__(cls, name: str) -> str:
        return name


class PixelFormat(metaclass=_Names):
    pass
