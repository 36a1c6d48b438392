"""An object that shows whether it was unpickled."""


class Bomb:
    """Leaves a file behind as soon as it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))
