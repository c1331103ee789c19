"""The project's own speed figures. Not installed with the package."""
