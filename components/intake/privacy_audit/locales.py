"""Locales of the canaries, split before anybody looked at what Faker makes for them.

Recognizers may be tuned on the first list only; the second shows what they are worth on formats of other hands.
"""

TUNING = (
    "en_US", "en_GB", "en_IN", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pt_BR", "sv_SE", "pl_PL", "ru_RU",
    "es_CO",
)  # fmt: skip
UNSEEN = (
    "en_AU", "en_CA", "en_IE", "de_AT", "de_CH", "fr_BE", "fr_CH", "es_MX", "pt_PT", "da_DK", "fi_FI", "no_NO",
    "cs_CZ",
)  # fmt: skip
ALL = TUNING + UNSEEN
