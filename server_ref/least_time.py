"""What something takes at least, learnt from how long it took."""

from __future__ import annotations


class LeastTime:
    """Seconds that cannot be done without: down at once, up slowly. What was never done is taken to need no time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def took(self, seconds: float) -> None:
        """Learn from one more time."""
        self.seconds = min(seconds, self.seconds + 0.1 * (seconds - self.seconds))

    def fits(self, left_s: float) -> bool:
        """Whether more than that is left.

        A refusal teaches nothing about the time itself: unless each made it seem shorter, one slow run could turn away
        everybody for ever.
        """
        if left_s > self.seconds:
            return True
        self.seconds *= 0.9
        return False
