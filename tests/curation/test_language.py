import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.curation.categories.category_classifier import seed_labels
from flywheel.components.curation.guards import language
from flywheel.components.curation.guards.language import identify, judge

PROMPT, RESPONSE = "How long is the warranty of the Borel 7?", "The Borel 7 has a warranty of 24 months."
FOREIGN = [
    ("de", "Die Garantie für dieses Gerät beträgt inzwischen drei Jahre ab dem Kaufdatum."),
    ("de", "Nein, man kann den Artikel innerhalb von dreißig Tagen zurückschicken."),
    ("fr", "La garantie de cet appareil est maintenant de trois ans à partir de la date d'achat."),
    ("fr", "Vous pouvez renvoyer le produit gratuitement pendant trente jours."),
    ("es", "La garantía de este aparato ahora es de tres años desde la fecha de compra."),
    ("es", "Puede devolver el producto sin coste durante treinta días."),
    ("it", "La garanzia di questo apparecchio è ora di tre anni dalla data di acquisto."),
    ("nl", "De garantie op dit apparaat is tegenwoordig drie jaar vanaf de aankoopdatum."),
    ("pt", "A garantia deste aparelho agora é de três anos a partir da data da compra."),
    ("pl", "Gwarancja na to urządzenie wynosi teraz trzy lata od daty zakupu."),
    ("tr", "Bu cihazın garantisi artık satın alma tarihinden itibaren üç yıldır."),
    ("ru", "Гарантия на это устройство теперь составляет три года со дня покупки."),
    ("ja", "この製品の保証期間は現在、購入日から三年間です。"),
    ("zh", "该设备的保修期现在是自购买之日起三年。"),
    ("ar", "مدة ضمان هذا الجهاز الآن ثلاث سنوات من تاريخ الشراء."),
    ("fi", "Tämän laitteen takuu on nykyään kolme vuotta ostopäivästä."),
    ("hu", "A készülék garanciája mostantól három év a vásárlás napjától."),
]


@pytest.mark.parametrize(("code", "text"), FOREIGN)
def test_answers_in_another_language_go_to_review(code, text):
    assert language.same(identify(text), code)
    verdict = judge(PROMPT, RESPONSE, text)
    assert verdict is not None
    assert (verdict.route, verdict.reason) == ("review", "other_language")


def test_in_a_conversation_of_that_language_it_is_no_fault():
    question, answer = "Wie lange gilt die Garantie für das Gerät Borel 7?", "Die Garantie gilt zwei Jahre lang."
    assert judge(question, answer, FOREIGN[0][1]) is None
    assert judge(PROMPT, RESPONSE, FOREIGN[0][1], given="de-AT") is None
    english = judge(question, answer, "The warranty of this device is now three years from the day of purchase.")
    assert english is not None


def test_a_translation_that_was_asked_for_is_no_fault():
    asked = "Please translate into German: the warranty is three years from the day of purchase."
    assert judge(asked, "Die Garantie ist drei Jahre von der Tag des Kaufes.", FOREIGN[0][1]) is None


def test_no_english_correction_is_called_foreign():
    rows = seed_labels()
    rows += [json.loads(line) for line in Path(__file__).with_name("unseen_corrections.jsonl").read_text().splitlines()]
    assert len(rows) > 800
    flagged = [row["correction"] for row in rows if judge(row["prompt"], row["response"], row["correction"])]
    assert flagged == []


@pytest.mark.parametrize("text", ["", "36 months", "Canberra", "slate black", "[EMAIL_1] [PHONE_2]", "12345", "No."])
def test_values_have_no_language(text):
    assert identify(text) == ""
    assert judge(PROMPT, RESPONSE, text) is None


def test_unknown_languages_are_filled_and_given_ones_kept():
    texts = [(PROMPT, RESPONSE), (FOREIGN[0][1], FOREIGN[1][1]), ("?", "36")]
    assert language.fill(["", "", ""], texts) == ["en", "de", ""]
    assert language.fill(["fr", "xx", "de"], texts) == ["fr", "xx", "de"]


def test_tags():
    assert [language.base(tag) for tag in ("de-AT", "pt_BR", "EN", "und", "", "english", "42")] == [
        "de", "pt", "en", "", "", "", ""
    ]  # fmt: skip


@settings(max_examples=60)
@given(st.text(), st.text(), st.text(), st.text(max_size=8))
def test_any_text_is_judged_without_an_error(prompt, response, correction, tag):
    verdict = judge(prompt, response, correction, tag)
    assert verdict is None or verdict.reason == "other_language"
