"""What is known about topics and their shares; plain data, so that a page can draw them without the detectors."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One topic's share of the interactions in both windows.

    Attributes:
        name: Its most telling words.
        reference: Share in the reference window.
        current: Share in the current window.
        change: Current minus reference share.
        lower: Lower limit of the change; the limits of all topics together hold with 95 %.
        upper: Upper limit of the change.
        rows: Interactions of this topic in both windows.
        example: A typical prompt that may be shown; "" if there is none.
    """

    name: str
    reference: float
    current: float
    change: float
    lower: float
    upper: float
    rows: int
    example: str


@dataclass(frozen=True)
class TopicShift:
    """The test that all topics kept their shares.

    Attributes:
        topics: Topics, the largest change first.
        total_variation: Half the sum of the absolute changes: the share of questions that moved.
        p_value: p-value of the sign-flip test over users.
    """

    topics: list[Topic]
    total_variation: float
    p_value: float
