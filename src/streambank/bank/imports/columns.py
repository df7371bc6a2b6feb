"""What the columns of banks' CSV exports are called, in several languages."""

import re
import unicodedata
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class Role(Enum):
    """What a column holds."""

    DATE = "date"
    VALUE_DATE = "value_date"
    AMOUNT = "amount"
    DEBIT = "debit"
    CREDIT = "credit"
    INDICATOR = "indicator"
    CURRENCY = "currency"
    BALANCE = "balance"
    COUNTERPARTY = "counterparty"
    COUNTERPARTY_ACCOUNT = "counterparty_account"
    REMITTANCE = "remittance"
    CATEGORY = "category"
    KIND = "kind"
    ID = "id"
    END_TO_END_ID = "end_to_end_id"
    ACCOUNT = "account"


class Named(NamedTuple):
    """A header name that was recognised: what it means, in which language, and how good a name for that it is."""

    role: Role
    language: str
    rank: int


# The better name of a role comes first: where two columns could be the date, the earlier name in its list wins.
_NAMES: dict[Role, dict[str, str]] = {
    Role.DATE: {
        "en": "booking date|transaction date|date|posting date|posted date|post date|completed date|date completed"
        "|trans date|trade date|started date|datetime|timestamp|created on|time",
        "de": "buchungstag|buchungsdatum|datum|buchung|belegdatum|transaktionsdatum",
        "cs": "datum zauctovani|datum zauctovani transakce|datum|datum provedeni|datum transakce|datum pohybu",
        "fr": "date d operation|date operation|date de comptabilisation|date de l operation|date comptable",
        "es": "fecha de operacion|fecha operacion|fecha|f operacion|fecha contable",
        "pl": "data ksiegowania|data operacji|data transakcji",
        "it": "data contabile|data operazione|data",
        "nl": "boekdatum|boekingsdatum|transactiedatum",
    },
    Role.VALUE_DATE: {
        "en": "value date|settlement date|effective date",
        "de": "valutadatum|wertstellung|valuta|wert|wertstellungsdatum",
        "cs": "datum valuty|datum splatnosti|valuta",
        "fr": "date de valeur|date valeur",
        "es": "fecha valor|f valor|fecha de valor",
        "it": "data valuta",
        "nl": "rentedatum|valutadatum",
    },
    Role.AMOUNT: {
        "en": "amount|transaction amount|net amount|value|sum|amount minor|transaction value",
        "de": "betrag|umsatz|betrag eur|betrag in eur|buchungsbetrag",
        "cs": "castka|objem|castka v mene uctu|suma",
        "fr": "montant|montant de l operation|montant eur",
        "es": "importe|importe eur|cantidad|monto",
        "pl": "kwota|kwota operacji|kwota transakcji",
        "it": "importo|importo eur",
        "nl": "bedrag|bedrag eur|transactiebedrag",
    },
    Role.DEBIT: {
        "en": "debit|debit amount|withdrawal|withdrawals|money out|paid out|withdrawal amount|out|spent",
        "de": "soll|lastschrift|belastung|ausgang|ausgaben",
        "cs": "vydaj|vydaje|odepsano|na vrub|debet",
        "fr": "debit|debit euros|depense|montant debit",
        "es": "cargo|cargos|debe|debito|egreso",
        "pl": "obciazenia|obciazenie",
        "it": "dare|addebiti|uscite",
        "nl": "af",
    },
    Role.CREDIT: {
        "en": "credit|credit amount|deposit|deposits|money in|paid in|deposit amount|in|received",
        "de": "haben|gutschrift|eingang|einnahmen",
        "cs": "prijem|prijmy|pripsano|ve prospech|kredit",
        "fr": "credit|credit euros|recette|montant credit",
        "es": "abono|abonos|haber|credito|ingreso",
        "pl": "uznania|uznanie",
        "it": "avere|accrediti|entrate",
        "nl": "bij",
    },
    Role.INDICATOR: {
        "en": "credit debit indicator|debit credit|credit debit|dr cr|cr dr|d c|c d|cdtdbtind|debit credit indicator"
        "|sign|direction|indicator",
        "de": "soll haben|soll haben kennzeichen|s h|kennzeichen|vorzeichen",
        "cs": "smer|smer uhrady|smer platby|typ pohybu|znamenko",
        "fr": "sens|debit credit",
        "es": "signo|debe haber|cargo abono",
        "nl": "af bij|debet credit",
    },
    Role.CURRENCY: {
        "en": "currency|currency code|ccy|account currency|transaction currency",
        "de": "waehrung|wahrung",
        "cs": "mena|mena uctu",
        "fr": "devise|monnaie",
        "es": "divisa|moneda",
        "pl": "waluta",
        "it": "divisa|valuta conto",
        "nl": "munt|muntsoort",
    },
    Role.BALANCE: {
        "en": "balance|running balance|balance after|balance after transaction|account balance|closing balance"
        "|available balance|new balance",
        "de": "saldo|saldo nach buchung|kontostand|neuer saldo",
        "cs": "zustatek|zustatek po|zustatek po pohybu|zustatek na uctu|konecny zustatek",
        "fr": "solde|solde apres operation",
        "es": "saldo|saldo posterior",
        "pl": "saldo po operacji|saldo po transakcji",
        "it": "saldo finale",
        "nl": "saldo na mutatie|saldo na transactie",
    },
    Role.COUNTERPARTY: {
        "en": "counterparty|counterparty name|payee|merchant|merchant name|beneficiary|name|payee name"
        "|beneficiary name|sender or beneficiary|other party|partner name",
        "de": "beguenstigter zahlungspflichtiger|auftraggeber empfaenger|beguenstigter|empfaenger"
        "|name zahlungsbeteiligter|zahlungsempfaenger|zahlungspflichtiger|gegenpartei|begunstigter zahlungspflichtiger"
        "|auftraggeber empfanger",
        "cs": "protistrana|nazev protiuctu|nazev protistrany|obchodnik|nazev obchodnika|jmeno protistrany",
        "fr": "tiers|beneficiaire|commercant|contrepartie|nom",
        "es": "beneficiario|comercio|ordenante|contraparte",
        "pl": "kontrahent|nadawca odbiorca|odbiorca nadawca",
        "it": "beneficiario ordinante|controparte",
        "nl": "naam omschrijving|naam tegenpartij|tegenpartij",
    },
    Role.COUNTERPARTY_ACCOUNT: {
        "en": "counterparty account|counterparty iban|payee account|beneficiary account|partner iban"
        "|counterparty account number|to account|other account",
        "de": "kontonummer iban|iban zahlungsbeteiligter|gegenkonto|iban des auftraggebers|empfaenger iban"
        "|kontonummer gegenkonto",
        "cs": "protiucet|cislo protiuctu|cislo uctu protistrany",
        "fr": "compte tiers|compte beneficiaire|iban tiers|iban beneficiaire",
        "es": "cuenta beneficiario|cuenta destino|iban beneficiario|cuenta contraparte",
        "pl": "rachunek kontrahenta|numer rachunku kontrahenta",
        "nl": "tegenrekening|tegenrekening iban bban|tegenrekening iban",
    },
    Role.REMITTANCE: {
        "en": "description|details|memo|narrative|transaction description|remittance information|payment reference"
        "|particulars|message|note|notes|reference|label|purpose",
        "de": "verwendungszweck|buchungstext|beschreibung|umsatztext|vorgang verwendungszweck|text|notiz",
        "cs": "popis|zprava pro prijemce|poznamka|popis transakce|zprava|zprava prijemci|ucel platby",
        "fr": "libelle|libelle operation|description|detail|libelle de l operation|motif",
        "es": "concepto|descripcion|observaciones|detalle",
        "pl": "tytul|opis operacji|opis transakcji|opis|tytul operacji",
        "it": "causale|descrizione|descrizione operazione",
        "nl": "omschrijving|mededelingen",
    },
    Role.CATEGORY: {
        "en": "category|category name",
        "de": "kategorie",
        "cs": "kategorie",
        "fr": "categorie",
        "es": "categoria",
        "pl": "kategoria",
        "nl": "categorie",
    },
    Role.KIND: {
        "en": "transaction type|type|kind",
        "de": "umsatzart|transaktionstyp|buchungsart",
        "cs": "typ transakce|typ operace|typ|druh pohybu",
        "fr": "type d operation|type operation",
        "es": "tipo|tipo de operacion|tipo de movimiento",
        "pl": "rodzaj transakcji|typ operacji",
        "nl": "mutatiesoort|code",
    },
    Role.ID: {
        "en": "transaction id|id|fitid|entry id|trans id|transaction number|transferwise id|bank transaction id",
        "de": "transaktions id|umsatz id|transaktionsnummer|buchungsreferenz",
        "cs": "id pohybu|id transakce|id operace|cislo transakce",
        "fr": "identifiant|id transaction|numero d operation",
        "es": "id transaccion|numero de operacion",
        "pl": "id transakcji|numer transakcji",
    },
    Role.END_TO_END_ID: {
        "en": "end to end id|end to end reference|endtoendid|e2e id",
        "de": "kundenreferenz end to end|ende zu ende referenz|end to end referenz|kundenreferenz",
        "cs": "reference platby|identifikace platby",
    },
    Role.ACCOUNT: {
        "en": "account|account number|iban|account name|own account|account id",
        "de": "auftragskonto|kontonummer|konto|iban auftragskonto",
        "cs": "cislo uctu|ucet|vlastni ucet",
        "fr": "compte|numero de compte",
        "es": "cuenta|numero de cuenta",
        "pl": "rachunek|numer rachunku|konto",
        "it": "conto",
        "nl": "rekening|rekeningnummer",
    },
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CREDIT_WORDS = _words(
    "crdt cr c credit + h haben gutschrift kredit k prijem prichozi credito abono haber in incoming deposit eingang bij"
    " entrata avere uznanie received"
)
DEBIT_WORDS = _words(
    "dbit dr d debit - s soll lastschrift debet vydaj odchozi vyber debito cargo debe out outgoing withdrawal ausgang"
    " af uscita dare obciazenie sent"
)


def plain_name(text: str) -> str:
    """A column's name without case, accents and punctuation: how names are compared."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss").replace("ł", "l"))
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return re.sub(r"[^a-z0-9]+", " ", bare).strip()


def plain_word(text: str) -> str:
    """An indicator's value for comparing; keeps a lone plus or minus."""
    stripped = text.strip()
    return {"+": "+", "-": "-", "−": "-", "–": "-"}.get(stripped) or plain_name(stripped)


def _index() -> dict[str, list[Named]]:
    index: dict[str, list[Named]] = {}
    for role, languages in _NAMES.items():
        for language, names in languages.items():
            for rank, name in enumerate(names.split("|")):
                # plain_name() makes "a" of an umlaut; whoever has none on the keyboard writes "ae".
                for spelling in {name, re.sub("([aou])e", r"\1", name) if language == "de" else name}:
                    index.setdefault(spelling, []).append(Named(role, language, rank))
    return index


_INDEX = _index()
_UNIT = re.compile(r" (?:in )?[a-z]{3}$")


def recognise(name: str) -> list[Named]:
    """What a header name may mean: the whole name, or the name before a currency code (``Amount (EUR)``)."""
    plain = plain_name(name)
    return _INDEX.get(plain) or _INDEX.get(_UNIT.sub("", plain), [])


def languages_of(names: Sequence[str]) -> dict[str, int]:
    """How many of the names each language has."""
    counts: dict[str, int] = {}
    for name in names:
        for language in {named.language for named in recognise(name)}:
            counts[language] = counts.get(language, 0) + 1
    return counts


def assign(names: Sequence[str]) -> dict[Role, int]:
    """Which column has which role, by the names in the header. Each column has one role, each role one column."""
    counts = languages_of(names)
    offers = [
        (named.rank, -counts[named.language], position, named.role)
        for position, name in enumerate(names)
        for named in recognise(name)
    ]
    roles: dict[Role, int] = {}
    taken: set[int] = set()
    for _, _, position, role in sorted(offers, key=lambda offer: offer[:3]):
        if role not in roles and position not in taken:
            roles[role] = position
            taken.add(position)
    return roles
