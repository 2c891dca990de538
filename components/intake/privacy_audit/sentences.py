"""What people write around personal data, by language; `{}` is the value."""

from random import Random

_ANY = {
    "en": ("You will find it under {} as before.", "It said {} on the screen.", "{} is what I entered, twice.",
           "Please check {}, nothing arrived.", "I used {} for this order.", "see {}"),
    "de": ("Bitte prüfen Sie {}, danke.", "Ich habe {} angegeben.", "{} steht auch im Formular."),
    "fr": ("J'ai indiqué {} dans le formulaire.", "Merci de vérifier {} encore une fois."),
    "es": ("He puesto {} en el formulario.", "Revise {} por favor."),
    "it": ("Ho inserito {} nel modulo.", "Controllate {} per favore."),
    "nl": ("Ik heb {} ingevuld.", "Kunt u {} nakijken?"),
    "pt": ("Coloquei {} no formulário.", "Verifiquem {} por favor."),
    "sv": ("Jag skrev {} i formuläret.",),
    "pl": ("Wpisałem {} w formularzu.",),
    "ru": ("Я указал {} в форме.",),
    "da": ("Jeg skrev {} i formularen.",),
    "no": ("Jeg skrev {} i skjemaet.",),
    "fi": ("Kirjoitin lomakkeeseen {} eilen.",),
    "cs": ("Do formuláře jsem napsal {} včera.",),
}  # fmt: skip
_PHONE = {
    "en": ("My number is {}.", "Call me on {} after six.", "phone: {}", "Reach me at {} please.", "Tel. {}"),
    "de": ("Meine Nummer ist {}.", "Tel.: {}", "Rufen Sie mich unter {} an."),
    "fr": ("Mon numéro est le {}.", "Tél : {}"),
    "es": ("Mi teléfono es {}.", "Llámeme al {}."),
    "it": ("Il mio numero è {}.", "Tel. {}"),
    "nl": ("Mijn telefoonnummer is {}.", "Bel me op {}."),
    "pt": ("Meu telefone é {}.", "Ligue para {}."),
    "sv": ("Mitt telefonnummer är {}.",),
    "pl": ("Mój numer telefonu to {}.",),
    "ru": ("Мой телефон {}.",),
    "da": ("Mit telefonnummer er {}.",),
    "no": ("Telefonnummeret mitt er {}.",),
    "fi": ("Puhelinnumeroni on {}.",),
    "cs": ("Můj telefon je {}.",),
}
_PASSPORT = {
    "en": ("My passport number is {}.", "Passport no. {}", "passport: {}"),
    "de": ("Meine Reisepassnummer ist {}.", "Reisepass {}"),
    "fr": ("Mon passeport porte le numéro {}.", "Passeport n° {}"),
    "es": ("Mi pasaporte es {}.", "Número de pasaporte: {}"),
    "it": ("Il mio passaporto è {}.", "Passaporto n. {}"),
    "nl": ("Mijn paspoortnummer is {}.",),
    "pt": ("Meu passaporte é {}.",),
    "sv": ("Mitt passnummer är {}.",),
    "pl": ("Numer mojego paszportu to {}.",),
    "ru": ("Мой паспорт {}.", "Номер паспорта: {}"),
    "da": ("Mit pasnummer er {}.",),
    "no": ("Passnummeret mitt er {}.",),
    "fi": ("Passini numero on {}.",),
    "cs": ("Číslo mého pasu je {}.",),
}
_BIRTH = {
    "en": ("I was born on {}.", "Date of birth: {}", "DOB {}", "My birthday is {}.", "d.o.b.: {}"),
    "de": ("Ich bin am {} geboren.", "Geburtsdatum: {}", "geb. am {}"),
    "fr": ("Je suis né le {}.", "Date de naissance : {}"),
    "es": ("Nací el {}.", "Fecha de nacimiento: {}"),
    "it": ("Sono nato il {}.", "Data di nascita: {}"),
    "nl": ("Ik ben geboren op {}.", "Geboortedatum: {}"),
    "pt": ("Nasci em {}.", "Data de nascimento: {}"),
    "sv": ("Jag är född den {}.", "Födelsedatum: {}"),
    "pl": ("Urodziłem się {}.", "Data urodzenia: {}"),
    "ru": ("Я родился {}.", "Дата рождения: {}"),
    "da": ("Jeg er født den {}.", "Fødselsdato: {}"),
    "no": ("Jeg er født {}.", "Fødselsdato: {}"),
    "fi": ("Olen syntynyt {}.", "Syntymäaika: {}"),
    "cs": ("Narodil jsem se {}.", "Datum narození: {}"),
}
_IDENTITY = {
    "en": ("My ID number is {}.", "national ID: {}"),
    "de": ("Meine Ausweisnummer lautet {}.",),
    "fr": ("Mon numéro de sécurité sociale est {}.",),
    "es": ("Mi DNI es {}.",),
    "it": ("Il mio codice fiscale è {}.",),
    "nl": ("Mijn BSN is {}.",),
    "pt": ("Meu CPF é {}.",),
    "sv": ("Mitt personnummer är {}.",),
    "pl": ("Mój PESEL to {}.",),
    "ru": ("Мой ИНН {}.",),
    "da": ("Mit CPR-nummer er {}.",),
    "no": ("Fødselsnummeret mitt er {}.",),
    "fi": ("Henkilötunnukseni on {}.",),
    "cs": ("Moje rodné číslo je {}.",),
}
_ADDRESS = {
    "en": ("I live at {}.", "Please send it to {}.", "My address: {}", "The parcel went to {} instead."),
    "de": ("Ich wohne in der {}.", "Bitte an {} senden.", "Adresse: {}"),
    "fr": ("J'habite au {}.", "Merci d'envoyer au {}.", "Adresse : {}"),
    "es": ("Vivo en {}.", "Envíenlo a {}.", "Dirección: {}"),
    "it": ("Abito in {}.", "Indirizzo: {}"),
    "nl": ("Ik woon op {}.", "Adres: {}"),
    "pt": ("Moro na {}.", "Endereço: {}"),
    "sv": ("Jag bor på {}.", "Adress: {}"),
    "pl": ("Mieszkam przy {}.", "Adres: {}"),
    "ru": ("Я живу по адресу {}.", "Адрес: {}"),
    "da": ("Jeg bor på {}.", "Adresse: {}"),
    "no": ("Jeg bor i {}.", "Adresse: {}"),
    "fi": ("Asun osoitteessa {}.", "Osoite: {}"),
    "cs": ("Bydlím na adrese {}.", "Adresa: {}"),
}
_INTRODUCED = {
    "en": ("My name is {}.", "I'm {} and I need help.", "This is {} speaking.", "Hello, {} here, one question.",
           "Kind regards,\n{}", "name: {}"),
    "de": ("Mein Name ist {}.", "Ich heiße {}.", "Mit freundlichen Grüßen\n{}"),
    "fr": ("Je m'appelle {}.", "Mon nom est {}.", "Cordialement,\n{}"),
    "es": ("Me llamo {}.", "Mi nombre es {}.", "Saludos,\n{}"),
    "it": ("Mi chiamo {}.", "Il mio nome è {}.", "Cordiali saluti,\n{}"),
    "nl": ("Mijn naam is {}.", "Ik heet {}.", "Met vriendelijke groet,\n{}"),
    "pt": ("Meu nome é {}.", "Chamo-me {}.", "Atenciosamente,\n{}"),
    "sv": ("Jag heter {}.", "Mitt namn är {}.", "Med vänliga hälsningar,\n{}"),
    "pl": ("Nazywam się {}.", "Pozdrawiam,\n{}"),
    "ru": ("Меня зовут {}.", "С уважением,\n{}"),
    "da": ("Jeg hedder {}.", "Mit navn er {}.", "Med venlig hilsen\n{}"),
    "no": ("Jeg heter {}.", "Navnet mitt er {}.", "Med vennlig hilsen\n{}"),
    "fi": ("Nimeni on {}.", "Ystävällisin terveisin\n{}"),
    "cs": ("Jmenuji se {}.", "S pozdravem\n{}"),
}  # fmt: skip
_MID_SENTENCE = {
    "en": ("Yesterday {} told a colleague that it works.", "The answer that {} got was better.",
           "It was returned by {} last week."),
    "de": ("Gestern hat {} etwas anderes gesagt.",),
    "fr": ("Hier {} a dit autre chose.",),
    "es": ("Ayer {} dijo otra cosa.",),
}  # fmt: skip
_BY_KIND = {
    "phone_international": (_PHONE, _ANY),
    "phone_national": (_PHONE, _ANY),
    "passport": (_PASSPORT,),
    "birth_date": (_BIRTH,),
    "national_id": (_IDENTITY,),
    "street_address": (_ADDRESS,),
    "name_introduced": (_INTRODUCED,),
    "name_mid_sentence": (_MID_SENTENCE,),
}


def sentence(kind: str, value: str, language: str, random: Random) -> str:
    """Put a value into a sentence of its language, or of English where there is none."""
    tables = _BY_KIND.get(kind, (_ANY,))
    frames = [frame for table in tables for frame in table.get(language, table["en"])]
    return random.choice(frames).replace("{}", value)
