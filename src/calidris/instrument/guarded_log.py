"""The log of the SDK: a log handler of the application that raises costs neither its caller nor our thread anything."""

from __future__ import annotations

import logging

from calidris.instrument.signal_errors import passes


class GuardedLog:
    """Writes to the logger ``calidris``.

    Handlers may raise whatever they like, a closed standard error among them, and logging hands that on to whoever logs.
    What a signal handler raises meanwhile is the application's and passes.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger("calidris")

    def info(self, message: str, *args: object) -> None:
        """For those who look."""
        self.write(logging.INFO, message, *args)

    def warning(self, message: str, *args: object) -> None:
        """Something is not sent, or not as it was given."""
        self.write(logging.WARNING, message, *args)

    def error(self, message: str, *args: object) -> None:
        """Something is set wrongly."""
        self.write(logging.ERROR, message, *args)

    def exception(self, message: str, *args: object) -> None:
        """A fault of ours, with where it happened."""
        self.write(logging.ERROR, message, *args, with_trace=True)

    def has_handlers(self) -> bool:
        """Whether the application has set up logging."""
        return self._logger.hasHandlers()

    def write(
        self,
        level: int,
        message: str,
        *args: object,
        with_trace: bool = False,
    ) -> None:
        """At a level of the logging module."""
        try:
            self._logger.log(
                level,
                message,
                *args,
                exc_info=with_trace,
            )
        except BaseException as error:
            if passes(error):
                raise


log = GuardedLog()
