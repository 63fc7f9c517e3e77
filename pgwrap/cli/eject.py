"""placeholder"""


def eject() -> None:
    """x"""
