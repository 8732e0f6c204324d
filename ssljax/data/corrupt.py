"""An example that cannot be read or decoded."""


class CorruptExample(ValueError):
    """An example that cannot be read or decoded: its name, and why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)  # both in args, so that it crosses process borders
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"
