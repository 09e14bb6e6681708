"""What the tests of integrations/sqlalchemy share: the listeners, and their messages."""
import logging
import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "integrations" / "sqlalchemy"))

import upkeep_sqlalchemy  # noqa: E402  pylint: disable=wrong-import-position


class Messages(logging.Handler):
    """What the listeners logged; nothing is printed."""

    def __init__(self):
        super().__init__()
        self.texts = []
        log = logging.getLogger("upkeep.sqlalchemy")
        log.addHandler(self)
        log.propagate = False

    def emit(self, record):
        self.texts.append(record.getMessage())


__all__ = ["Messages", "TOP", "upkeep_sqlalchemy"]
