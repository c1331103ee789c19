"""What can go wrong, by name. Each message is one sentence that says what is wrong and what to do."""


class EdgeError(Exception):
    """Something that could not be done; commands print it as one line and end with exit status 1."""


class WrongCall(EdgeError):
    """Arguments that no machine could do anything with, by themselves or together; exit status 2."""


class BundleError(EdgeError):
    """A bundle that is missing, incomplete, altered, or made for something else."""


class PictureError(EdgeError):
    """A picture that cannot be read or written."""


class FrameError(EdgeError, ValueError):
    """A frame of the wrong shape or dtype."""


class DeviceUnavailable(EdgeError):
    """The device that was asked for is not on this machine, or does not run this model."""


class ModelFault(EdgeError):
    """The model gave no usable answer for a frame: runtime error, out of memory, values that are not finite."""


class MissingPackage(EdgeError):
    """A package that this command needs is not installed."""


class SourceError(EdgeError):
    """A source of frames that cannot be opened, or that was lost for good."""


class SinkError(EdgeError):
    """A sink that cannot be opened or no longer takes frames."""
