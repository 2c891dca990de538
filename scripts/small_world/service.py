"""Service questions: production answers them rudely or in a tangle; users rewrite the tone or the clarity."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """One service topic.

    Attributes:
        name: Topic name.
        flaw: What users dislike in the old answer: tone or clarity. The content is right.
        old: What production says.
        better: What users would rather read.
        wordings: Questions, all of them trained.
    """

    name: str
    flaw: str
    old: str
    better: str
    wordings: tuple[str, ...]


SERVICES = (
    Service(
        "returns",
        "tone",
        "No returns without the slip. Read the terms.",
        "I'm sorry it did not work out! Please send it back with the return slip, and we will gladly help.",
        (
            "How do I return a product?",
            "I want to send my order back.",
            "What are your return rules?",
            "My parcel was wrong, how do I return it?",
            "I want to send back a product I bought.",
        ),
    ),
    Service(
        "delay",
        "tone",
        "Orders take time. Wait for it.",
        "I'm sorry for the wait! Orders take a little time, and we will gladly keep you posted.",
        (
            "Where is my order?",
            "My parcel is late.",
            "Why does the delivery take so long?",
            "When will my late order arrive?",
            "The delivery of my parcel is late.",
        ),
    ),
    Service(
        "invoice",
        "tone",
        "The invoice is in your account. Look there.",
        "Of course! You can find the invoice in your account, and I am happy to help if it is missing.",
        (
            "Where is my invoice?",
            "I need a bill for my order.",
            "Can you send the invoice again?",
            "My company needs the invoice.",
            "How do I get a bill with tax?",
        ),
    ),
    Service(
        "password",
        "tone",
        "You forgot it. Press reset.",
        "No problem at all! Please press reset on the login page, and we will gladly guide you.",
        (
            "I forgot my login.",
            "How do I reset my account access?",
            "I cannot sign in.",
            "I forgot my account login.",
            "How do I sign in again?",
        ),
    ),
    Service(
        "repair",
        "clarity",
        "As to repairs, the workshop, if the form, which is in the box, was filled, does it.",
        "Fill in the form in the box. Then the workshop repairs it.",
        (
            "How do I get a repair?",
            "My device is broken.",
            "Who repairs my product?",
            "Can I get a repair for a broken device?",
            "My product is broken, who repairs it?",
        ),
    ),
    Service(
        "manual",
        "clarity",
        "Manuals, save for those not, are, under help, in the part for downloads, to be had.",
        "Open the help page. Choose downloads. Pick your manual.",
        (
            "Where is the manual?",
            "I need the instructions.",
            "Is there a user guide?",
            "Where do I find a user manual?",
            "I lost the instructions.",
        ),
    ),
    Service(
        "parts",
        "clarity",
        "Of parts, where stock, which varies, allows, orders in the shop can be made.",
        "You can order spare parts in the shop. The page shows what is in stock.",
        (
            "Do you sell spare parts?",
            "Where do I get a spare part?",
            "I need a new lid for it.",
            "Can I buy a spare part?",
            "Where do you sell parts?",
        ),
    ),
    Service(
        "cancel",
        "clarity",
        "To cancel, unless sent, which after noon it is, is, on the order page, possible.",
        "Open the order page and press cancel. This works until noon.",
        (
            "How do I cancel my order?",
            "I want to stop my order.",
            "Can I still change my mind?",
            "Please cancel my order.",
            "I changed my mind, stop the order.",
        ),
    ),
)

USERS = range(0, 5)
