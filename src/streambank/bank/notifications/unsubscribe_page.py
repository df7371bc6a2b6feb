"""The page that an unsubscribe link leads to: a button that ends the e-mails. Only to look at it changes nothing.

Programs follow links in e-mails to see where they lead, which is why RFC 8058 wants a POST. The page has no script.
"""

from html import escape

from streambank.bank.notifications.facts import Category
from streambank.bank.notifications.message import locale_of
from streambank.bank.notifications.texts import language_of, texts_in

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}"
    "button{font:inherit;padding:.5rem 1rem}"
)


def page(locale: str, category: Category, *, done: bool) -> str:
    """The page, in the language of the user whose e-mails they are."""
    language = language_of(locale_of(locale).language)
    texts = texts_in(language)
    said = (texts.unsubscribe.done if done else texts.unsubscribe.question).format(category=texts.categories[category])
    # Without an action the form goes to the page's own address, which has the token.
    form = f'<form method="post"><button>{escape(texts.unsubscribe.button)}</button></form>'
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(texts.unsubscribe.title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>{escape(texts.unsubscribe.title)}</h1><p role="status">{escape(said)}</p>{"" if done else form}'
        "</main></body></html>"
    )
